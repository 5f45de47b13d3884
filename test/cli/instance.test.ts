import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";
import { StateDirectory } from "../../src/client/state-directory.ts";
import type { ServeStatus } from "../../src/core/serve-types.ts";
import { startInstance } from "../../src/instance/start-instance.ts";
import { childPids, isRunning, until } from "../integration/harness.ts";
import { command, TemporaryFolder } from "../support/command.ts";

const builds = fileURLToPath(new URL("../fixtures/builds", import.meta.url));

it("C4-C8, C11: an instance is steered from its first application to its end", async () => {
  const folder = new TemporaryFolder();
  const state = new StateDirectory(join(folder.path, "state", "heliostat"));
  onTestFinished(() => {
    const pid = state.holder()?.pid;
    if (pid !== undefined) process.kill(pid, "SIGKILL");
    folder[Symbol.dispose]();
  });
  // The commands find it by themselves.
  const heliostat = (...args: string[]) => command(args, { cwd: folder.path });
  const { record } = await startInstance({
    stateDirectory: state.path,
    http: { port: 0 },
    admin: { host: "127.0.0.1", port: 0 },
  });
  const status = async (): Promise<ServeStatus> =>
    parse((await heliostat("status")).stdout, { schema: "core" }) as ServeStatus;

  writeFileSync(
    join(folder.path, "web.yaml"),
    `applications: [{ name: web, importPath: "${builds}/served.ts:app", env: { WORD: one } }]\n`,
  );
  const deployed = await heliostat("deploy", "web.yaml", "--wait");
  expect(deployed).toMatchObject({ code: 0, stdout: "" });
  expect(deployed.stderr).toContain('Application "web": RUNNING');
  expect(await (await fetch(record.httpUrl)).text()).toBe("one");

  const failed = await heliostat(
    "deploy",
    "./served.ts:broken",
    "-d",
    builds,
    "--wait",
    "--name",
    "bad",
    "--route-prefix",
    "/bad",
  );
  expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining("cannot be constructed") });
  const taken = await heliostat("deploy", "./served.ts:app", "-d", builds, "--name", "other");
  expect(taken).toMatchObject({ code: 2, stderr: expect.stringContaining('taken by application "web"') });
  expect((await heliostat("scale", "web/Served", "2")).code).toBe(0);
  await until(async () => {
    const { Served } = (await status()).applications["web"]!.deployments;
    return Served!.replicas.filter((replica) => replica.state === "RUNNING").length === 2;
  }, "two replicas run");
  expect((await status()).applications["bad"]!.status).toBe("DEPLOY_FAILED");
  expect((await heliostat("delete", "bad")).code).toBe(0);
  expect(Object.keys((await status()).applications)).toEqual(["web"]);

  const pids = (await status()).applications["web"]!.deployments["Served"]!.replicas.map(({ pid }) => pid!);
  writeFileSync(join(folder.path, "again.yaml"), (await heliostat("config")).stdout);
  expect(await heliostat("deploy", "again.yaml", "--wait")).toMatchObject({
    code: 0,
    stderr: expect.not.stringContaining("warning"),
  });
  // What is in force already restarts nothing.
  expect((await status()).applications["web"]!.deployments["Served"]!.replicas.map(({ pid }) => pid!)).toEqual(pids);

  expect((await heliostat("shutdown", "-y")).code).toBe(0);
  // It returned when it was so.
  expect([record.pid, ...pids].filter(isRunning)).toEqual([]);
  expect(childPids(process.pid)).toEqual([]);
  expect(await heliostat("status", "-a", record.adminUrl!)).toMatchObject({ code: 1 });
}, 60_000);
