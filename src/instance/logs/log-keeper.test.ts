import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { OutputFile, outputPath } from "../../engine/process/output-file.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { LogFolder } from "./log-folder.ts";
import { LogKeeper, type LogKeeperOptions } from "./log-keeper.ts";

let path: string;
let clock: ManualClock;
let folder: LogFolder;
let keeper: LogKeeper;
let warnings: string[];
let running: ReturnType<LogKeeperOptions["running"]>;

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "heliostat-logs-"));
  clock = new ManualClock();
  folder = new LogFolder(path, clock);
  warnings = [];
  running = {};
  keeper = new LogKeeper({
    folder,
    clock,
    log: { debug() {}, info() {}, warn: (message) => warnings.push(message), error() {} },
    running: () => running,
    maxBytes: 100,
    keptFiles: 3,
  });
});
afterEach(async () => {
  await keeper.close();
  expect(clock.pendingTimers).toBe(0);
  rmSync(path, { recursive: true, force: true });
});

const fileOf = (app: string, replicaId: string): string => outputPath(path, { app, replicaId });
const read = (file: string): string => readFileSync(file, "utf8");

/** Lets it look once. */
async function look(): Promise<void> {
  clock.advance(5_000);
  while (clock.pendingTimers === 0) await new Promise((resolve) => setImmediate(resolve));
}

function filesOf(app: string, files: Record<string, number>): void {
  mkdirSync(dirname(fileOf(app, "x")), { recursive: true });
  for (const [replicaId, age] of Object.entries(files)) {
    writeFileSync(fileOf(app, replicaId), `${replicaId}\n`);
    utimesSync(fileOf(app, replicaId), 2_000 - age, 2_000 - age);
  }
}

it("moves what is too long aside, while it is written, and keeps one older one", async () => {
  writeFileSync(folder.ownPath, "short\n");
  const output = new OutputFile(fileOf("shop", "Model#a"));
  const long = `${"x".repeat(99)}\n`;
  writeSync(output.fd, long);
  await look();
  expect(read(output.path)).toBe(long);
  writeSync(output.fd, "more\n");
  await look();
  expect([read(output.path), read(`${output.path}.1`)]).toEqual(["", `${long}more\n`]);
  expect(statSync(`${output.path}.1`).mode & 0o777).toBe(0o600);
  writeSync(output.fd, `${long}again\n`);
  await look();
  writeSync(output.fd, "new\n");
  await look();
  expect([read(output.path), read(`${output.path}.1`)]).toEqual(["new\n", `${long}again\n`]);
  output.close();
  writeFileSync(folder.ownPath, long + long);
  await look();
  expect([read(folder.ownPath), read(`${folder.ownPath}.1`)]).toEqual(["", long + long]);
  expect(readdirSync(path).toSorted()).toEqual(["instance.log", "instance.log.1", "shop"]);
  expect(warnings).toEqual([]);
});

it("adds what comes while it copies", async () => {
  const file = fileOf("shop", "Model#a");
  mkdirSync(dirname(file), { recursive: true });
  const fd = openSync(file, "a");
  const lines = Array.from({ length: 40_000 }, (_, i) => `line ${i}\n`);
  writeSync(fd, lines.slice(0, 20_000).join(""));
  clock.advance(5_000);
  // It looks now: other turns come between its steps.
  for (let i = 20_000; i < lines.length;) {
    for (const end = Math.min(i + 100, lines.length); i < end; i++) writeSync(fd, lines[i]!);
    await new Promise((resolve) => setImmediate(resolve));
  }
  while (clock.pendingTimers === 0) await new Promise((resolve) => setImmediate(resolve));
  closeSync(fd);
  expect(read(`${file}.1`) + read(file)).toBe(lines.join(""));
  expect(read(file).length).toBeLessThan(lines.join("").length);
});

it("keeps the newest files of replicas that have ended, of each application, and all of those that run", async () => {
  filesOf("shop", { "M#a": 6, "M#b": 5, "M#c": 4, "M#d": 3, "N#e": 2, "M#f": 1 });
  writeFileSync(`${fileOf("shop", "M#b")}.1`, "older\n");
  filesOf("gone", { "M#1": 3, "M#2": 2, "M#3": 1 });
  const replica = { replicaId: "M#a", state: "RUNNING", pid: 1, nodeId: "local", startedAt: new Date(0) } as const;
  running = {
    shop: {
      status: "RUNNING",
      message: "",
      routePrefix: "/",
      deployments: { M: { status: "HEALTHY", message: "", targetReplicas: 1, replicas: [replica] } },
    },
  };
  await look();
  expect(readdirSync(join(path, "shop"))).toEqual(["M%23a.log", "M%23d.log", "M%23f.log", "N%23e.log"]);
  expect(readdirSync(join(path, "gone"))).toHaveLength(3);
  filesOf("gone", { "M#4": 0 });
  running = {};
  await look();
  expect(readdirSync(join(path, "shop"))).toEqual(["M%23d.log", "M%23f.log", "N%23e.log"]);
  expect(readdirSync(join(path, "gone"))).toEqual(["M%232.log", "M%233.log", "M%234.log"]);
});

it("says once what it cannot move, and empties it before it has no end", async () => {
  writeFileSync(folder.ownPath, "x".repeat(150));
  // Nothing can be copied to where a folder is.
  mkdirSync(join(`${folder.ownPath}.1`, "in the way"), { recursive: true });
  await look();
  await look();
  expect(warnings).toEqual([expect.stringContaining(`${folder.ownPath} cannot be kept short`)]);
  expect(read(folder.ownPath)).toHaveLength(150);
  writeFileSync(folder.ownPath, "x".repeat(250));
  await look();
  expect(read(folder.ownPath)).toBe("");
  rmSync(`${folder.ownPath}.1`, { recursive: true });
  writeFileSync(folder.ownPath, "x".repeat(150));
  await look();
  expect(read(`${folder.ownPath}.1`)).toHaveLength(150);
  expect(readdirSync(path).toSorted()).toEqual(["instance.log", "instance.log.1"]);
  expect(warnings).toHaveLength(1);
});

it("does nothing more once it is closed, and nothing where there is nothing", async () => {
  await look();
  rmSync(path, { recursive: true });
  await look();
  expect(warnings).toEqual([]);
  clock.advance(5_000);
  await keeper.close();
  await keeper.close();
});
