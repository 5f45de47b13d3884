import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startOfProcess } from "../engine/process/process-mark.ts";
import { defaultStateDirectory, StateDirectory, type InstanceRecord } from "./state-directory.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heliostat-test-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function made(): StateDirectory {
  const directory = new StateDirectory(join(root, "a", "state"));
  directory.make();
  return directory;
}
const recordOf = (pid: number, start: string): InstanceRecord => ({
  pid,
  start,
  version: "1",
  httpUrl: "http://127.0.0.1:8000",
  adminUrl: undefined,
  runtimeDirectory: "/r",
  stateDirectory: "/s",
});
const modeOf = (path: string): number => statSync(path).mode & 0o777;
const mine = (): string => startOfProcess(process.pid)!;

test("C12: where it is", () => {
  expect(defaultStateDirectory({ HELIOSTAT_STATE_DIR: "/a/b", XDG_STATE_HOME: "/x" })).toBe("/a/b");
  expect(defaultStateDirectory({ XDG_STATE_HOME: "/x" })).toBe("/x/heliostat");
  expect(defaultStateDirectory({ XDG_STATE_HOME: "relative" })).toMatch(/\/\.local\/state\/heliostat$/);
});

test("only this user can enter it and read what is in it", () => {
  const directory = made();
  directory.announce(recordOf(process.pid, mine()));
  expect(directory.lock()).toBeUndefined();
  expect(modeOf(directory.path)).toBe(0o700);
  for (const name of readdirSync(directory.path)) expect([name, modeOf(directory.file(name))]).toEqual([name, 0o600]);
  expect(directory.record()).toMatchObject({ pid: process.pid, httpUrl: "http://127.0.0.1:8000" });
  directory.release();
  expect(readdirSync(directory.path)).toEqual([]);
  expect(directory.record()).toBeUndefined();
});

test("one that others can enter is refused", () => {
  const path = join(root, "open");
  mkdirSync(path);
  chmodSync(path, 0o755);
  expect(() => new StateDirectory(path).make()).toThrow(/mode 0700/);
});

test("a lock holds as long as its process, and no longer", async () => {
  const directory = made();
  const child = spawn(process.execPath, ["-e", "console.log(1); setInterval(() => {}, 1000)"]);
  await once(child.stdout, "data");
  const start = startOfProcess(child.pid!)!;
  writeFileSync(directory.file("lock"), JSON.stringify({ pid: child.pid, start }));
  directory.announce(recordOf(child.pid!, start));
  expect(directory.lock()).toEqual({ pid: child.pid, start });
  expect(directory.record()?.pid).toBe(child.pid);
  expect(directory.crashed()).toBeUndefined();
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(directory.record()).toBeUndefined();
  expect(directory.crashed()?.pid).toBe(child.pid);
  expect(directory.lock()).toBeUndefined();
  expect(directory.lock()).toEqual({ pid: process.pid, start: mine() });
});

test("the number of a process that is now another's is nobody's lock, and neither is a broken one", () => {
  const directory = made();
  for (const text of [JSON.stringify({ pid: process.pid, start: "1" }), "", "{", "null", '{"pid":-1}']) {
    writeFileSync(directory.file("lock"), text);
    expect(directory.lock()).toBeUndefined();
    directory.release();
  }
  expect(startOfProcess(spawnSync(process.execPath, ["--version"]).pid)).toBeUndefined();
});

test("a full disk is told, and what was there stays", () => {
  const directory = made();
  directory.write("goal.json", "before");
  const full = new StateDirectory(directory.path, {
    write() {
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    },
  });
  expect(() => full.write("goal.json", "after")).toThrow(`${directory.path} cannot be used: its disk is full`);
  expect(() => full.lock()).toThrow(/its disk is full/);
  expect(directory.read("goal.json")).toBe("before");
  expect(readdirSync(directory.path)).toEqual(["goal.json"]);
});

test("a place that cannot be had is told", () => {
  writeFileSync(join(root, "file"), "");
  expect(() => new StateDirectory(join(root, "file", "state")).make()).toThrow(
    /state cannot be used: ENOTDIR.*--state-dir/,
  );
});
