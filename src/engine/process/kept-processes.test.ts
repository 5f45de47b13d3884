import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HandleReference } from "../../core/deployment/spec.ts";
import { KeptProcesses } from "./kept-processes.ts";
import { RuntimeDirectory } from "./runtime-directory.ts";

let root: string;
let directory: RuntimeDirectory;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heliostat-test-"));
  directory = RuntimeDirectory.make(root, { isKept: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("the next controller finds those that run, with all that was written of them, in the order of their start", async () => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { detached: true, stdio: "ignore" });
  const kept = new KeptProcesses<unknown>(directory, "replica");
  const about = { initArgs: [new HandleReference("shop", "Model"), new Map([[1n, new Date(5)]])] };
  kept.note("bb", { pid: child.pid!, startedWallMs: 2, about });
  kept.note("aa", { pid: process.pid, startedWallMs: 1, about: undefined });
  new KeptProcesses(directory, "proxy").note("cc", { pid: process.pid, startedWallMs: 3, about: "a proxy" });
  expect(statSync(directory.file("bb.replica")).mode & 0o777).toBe(0o600);

  const next = new KeptProcesses<typeof about>(RuntimeDirectory.left(directory.path)!, "replica");
  const found = next.find();
  expect(found).toMatchObject([{ id: "aa" }, { id: "bb", pid: child.pid, startedWallMs: 2, about }]);
  expect(found[1]!.about.initArgs[0]).toBeInstanceOf(HandleReference);

  next.forget("aa");
  const ended = once(child, "exit");
  next.end();
  expect((await ended)[1]).toBe("SIGKILL");
  expect(next.find()).toEqual([]);
  expect(readdirSync(directory.path)).toEqual(["cc.proxy"]);
});

test("of one that has ended nothing is left, and the number of another process is not taken for it", async () => {
  const child = spawn(process.execPath, ["-e", ""], { stdio: "ignore" });
  const kept = new KeptProcesses(directory, "replica");
  kept.note("aa", { pid: child.pid!, startedWallMs: 1, about: undefined });
  await once(child, "exit");
  expect(kept.find()).toEqual([]);
  expect(readdirSync(directory.path)).toEqual([]);
});
