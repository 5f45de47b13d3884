import { spawn as spawnOnTerminal } from "@lydell/node-pty";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { FakeInstance, statusOf } from "./fake-instance.ts";
import { commandArguments, terminalEnvironment, TemporaryFolder } from "../support/command.ts";

const temporary = new TemporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
const folder = temporary.path;

/** Runs a command on a terminal, and types an answer when it asks. */
async function onTerminal(args: readonly string[], answer?: string): Promise<{ code: number; shown: string }> {
  const terminal = spawnOnTerminal(process.execPath, commandArguments(args), {
    cwd: folder,
    env: terminalEnvironment(folder),
    cols: 100,
  });
  let shown = "";
  let isAnswered = answer === undefined;
  terminal.onData((data) => {
    shown += data;
    if (isAnswered || !shown.includes("[y/N]")) return;
    isAnswered = true;
    terminal.write(answer!);
  });
  const code = await new Promise<number>((resolve) => terminal.onExit(({ exitCode }) => resolve(exitCode)));
  return { code, shown };
}

test("on a terminal, shutdown asks, and lines are coloured and change in their place", async () => {
  await using fake = await FakeInstance.open();
  fake.replies["GET /api/v1/instance"] = () => ({ body: { pid: 1, version: "0", runtimeDirectory: "" } });
  fake.replies["POST /api/v1/shutdown"] = () => "end";
  expect(await onTerminal(["shutdown", "-a", fake.url], "n\r")).toMatchObject({
    code: 1,
    shown: expect.stringContaining("Nothing was shut down"),
  });
  // The end of input is a no.
  expect((await onTerminal(["shutdown", "-a", fake.url], "\u0004")).code).toBe(1);
  expect(fake.routes()).not.toContain("POST /api/v1/shutdown");
  const statuses = [statusOf("shop", "DEPLOYING", { running: 0 }), statusOf("shop", "RUNNING", { running: 2 })];
  fake.replies["PUT /api/v1/applications"] = () => ({ status: 202 });
  fake.replies["GET /api/v1/applications"] = () => ({ body: statuses.shift() });
  writeFileSync(join(folder, "shop.yaml"), "applications: [{ name: shop, importPath: ./shop.ts:app }]\n");
  const { code, shown } = await onTerminal(["deploy", "shop.yaml", "--wait", "-a", fake.url]);
  expect(code).toBe(0);
  expect(shown).toContain('Application "shop": \u001B[33mDEPLOYING');
  // Both lines are written over.
  expect(shown.split("\u001B[A\u001B[2K")).toHaveLength(3);
  expect(shown).toContain('Application "shop": \u001B[32mRUNNING');
  expect(await onTerminal(["shutdown", "-a", fake.url], "y\r")).toMatchObject({
    code: 0,
    shown: expect.stringContaining("It is shut down."),
  });
});
