import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { StateDirectory } from "../../src/client/state-directory.ts";
import { findInstance, startInstance } from "../../src/instance/start-instance.ts";
import { childPids, failureOf, isRunning, until } from "./harness.ts";

const module = fileURLToPath(new URL("../fixtures/builds/served.ts", import.meta.url));
let root: string;
let state: StateDirectory;
/** Everything that an instance was seen to consist of. */
let pids: Set<number>;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heliostat-test-"));
  state = new StateDirectory(join(root, "state"));
  pids = new Set();
});

afterEach(async () => {
  const pid = state.holder()?.pid;
  if (pid !== undefined) process.kill(pid, "SIGKILL");
  await until(() => ![...pids, pid ?? 0].some(isRunning), "processes are left");
  expect(childPids(process.pid)).toEqual([]);
  rmSync(root, { recursive: true });
});

const start = (http: object = { port: 0 }) =>
  startInstance({ stateDirectory: state.path, http, admin: { host: "127.0.0.1", port: 0 } });

async function ask(adminUrl: string, method: string, path: string, body?: object): Promise<any> {
  const answer = await fetch(`${adminUrl}/api/v1/${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  return answer.json();
}

async function running(adminUrl: string): Promise<number[]> {
  let replicas: number[] = [];
  await until(async () => {
    const { applications } = await ask(adminUrl, "GET", "applications");
    if (applications.web?.status !== "RUNNING") return false;
    replicas = applications.web.deployments.Served.replicas.map(({ pid }: { pid: number }) => pid);
    return true;
  }, "the application runs");
  for (const pid of replicas) pids.add(pid);
  return replicas;
}

const config = (word: string) => ({
  applications: [{ name: "web", importPath: `${module}:app`, env: { WORD: word } }],
});

it("C3: is ready when it is started, is found, and ends in order with nothing left", async () => {
  const [first, second] = await Promise.all([start(), start()]);
  const { record } = first;
  pids.add(record.pid);
  // Of two at once one starts it, and the other finds it.
  expect([first.isNew, second.isNew].toSorted()).toEqual([false, true]);
  expect(second.record).toEqual(record);
  expect(await start()).toEqual({ record, isNew: false, tookOver: false });
  expect(findInstance(state.path)).toEqual(record);
  expect(statSync(state.file("instance.json")).mode & 0o777).toBe(0o600);
  expect(childPids(process.pid).filter((pid) => pid !== record.pid)).toEqual([]);
  expect(await ask(record.adminUrl!, "GET", "instance")).toMatchObject({
    pid: record.pid,
    httpUrl: record.httpUrl,
    runtimeDirectory: record.runtimeDirectory,
    stateDirectory: state.path,
  });

  await ask(record.adminUrl!, "PUT", "applications", config("first"));
  await running(record.adminUrl!);
  expect(await (await fetch(`${record.httpUrl}/`)).text()).toBe("first");
  process.kill(record.pid, "SIGTERM");
  await until(() => ![...pids].some(isRunning), "the instance ends");
  expect(findInstance(state.path)).toBeUndefined();
  expect(existsSync(record.runtimeDirectory)).toBe(false);
  for (const name of ["lock", "instance.json", "goal.json"]) expect(existsSync(state.file(name))).toBe(false);
  expect(readFileSync(state.file("logs/instance.log"), "utf8")).toContain("ends: SIGTERM");
});

it("C12: its replicas outlive kill -9, and the next one takes them over", async () => {
  const { record } = await start();
  pids.add(record.pid);
  await ask(record.adminUrl!, "PUT", "applications", config("kept"));
  const before = await running(record.adminUrl!);
  process.kill(record.pid, "SIGKILL");
  await until(() => !isRunning(record.pid), "the instance is gone");
  expect(findInstance(state.path)).toBeUndefined();

  const next = await start();
  pids.add(next.record.pid);
  expect(next).toMatchObject({ isNew: true, tookOver: true, record: { runtimeDirectory: record.runtimeDirectory } });
  expect(await running(next.record.adminUrl!)).toEqual(before);
  expect(await (await fetch(`${next.record.httpUrl}/`)).text()).toBe("kept");
  // They are replicas like others: they end when they are told, and another takes the place of one that ends.
  process.kill(before[0]!, "SIGKILL");
  await until(async () => (await running(next.record.adminUrl!))[0] !== before[0], "it is replaced");
  await ask(next.record.adminUrl!, "POST", "shutdown");
  await until(() => ![...pids].some(isRunning), "the instance ends");
  expect(existsSync(record.runtimeDirectory)).toBe(false);
  for (const name of ["goal.json", "runtime.json"]) expect(existsSync(state.file(name))).toBe(false);
});

it("C12: a replica that was taken over writes to the same file, and its last words are told", async () => {
  const { record } = await start();
  pids.add(record.pid);
  const importPath = fileURLToPath(new URL("../fixtures/builds/talking.ts", import.meta.url));
  await ask(record.adminUrl!, "PUT", "applications", {
    applications: [{ name: "talk", importPath: `${importPath}:app` }],
  });
  const said = () => fetch(`${findInstance(state.path)!.httpUrl}/`).then((answer) => answer.text(), String);
  await until(async () => (await said()) === "said", "it runs");
  process.kill(record.pid, "SIGKILL");
  await until(() => !isRunning(record.pid), "the instance is gone");
  const { adminUrl, pid } = (await start()).record;
  pids.add(pid);
  const status = async () => (await ask(adminUrl!, "GET", "applications/talk")).deployments.Talking;
  const [{ replicaId, pid: replicaPid }] = (await status()).replicas;
  pids.add(replicaPid);
  const lines = async () => (await (await fetch(`${adminUrl}/api/v1/logs?app=talk`)).text()).split("\n");
  const before = (await lines()).length;
  await until(async () => (await said()) === "said", "it is reached");
  expect((await lines()).length).toBe(before + 2);
  await fetch(`${findInstance(state.path)!.httpUrl}/exit`).catch(() => {});
  await until(async () => (await status()).message.includes("good bye"), "its last words are told");
  expect(await lines()).toContain(`${replicaId}: good bye`);
  await until(async () => (await said()) === "said", "another has taken its place");
  for (const { pid: each } of (await status()).replicas) pids.add(each);
  await ask(adminUrl!, "POST", "shutdown");
  await until(() => ![...pids].some(isRunning), "the instance ends");
});

it("what keeps it from starting is told, and leaves nothing", async () => {
  const { record } = await start();
  pids.add(record.pid);
  const port = Number(new URL(record.httpUrl).port);
  const other = new StateDirectory(join(root, "other"));
  const options = { stateDirectory: other.path, admin: { host: "127.0.0.1", port: 0 } };
  expect(await failureOf(startInstance({ ...options, http: { port } }))).toMatchObject({
    code: "CONFIG",
    path: "http.port",
  });
  const open = { ...options, http: { port: 0 }, admin: { host: "0.0.0.0", port: 0 } };
  expect(await failureOf(startInstance(open))).toMatchObject({ code: "CONFIG" });
  expect(other.holder()).toBeUndefined();

  writeFileSync(join(root, "file"), "");
  const nowhere = join(root, "file", "state");
  expect(
    (await failureOf(startInstance({ ...options, stateDirectory: nowhere, http: { port: 0 } }))).message,
  ).toContain(`${nowhere} cannot be used: ENOTDIR`);
  process.kill(record.pid, "SIGTERM");
  await until(() => !isRunning(record.pid), "the instance ends");
});

it("a process that has the state directory and is no instance is waited for no longer than it lives", async () => {
  state.make();
  const holder = spawn(process.execPath, [
    "--conditions=heliostat-source",
    "--input-type=module",
    "-e",
    `import { StateDirectory } from ${JSON.stringify(new URL("../../src/client/state-directory.ts", import.meta.url).href)};
     new StateDirectory(${JSON.stringify(state.path)}).lock();
     process.stdout.write("locked");
     setInterval(() => {}, 1000);`,
  ]);
  await new Promise((resolve) => holder.stdout.once("data", resolve));
  const starting = start();
  // Its instance has found the lock taken when it has ended.
  await until(() => existsSync(dirname(state.file("logs/instance.log"))), "the start has begun");
  holder.kill("SIGKILL");
  const { record, isNew } = await starting;
  pids.add(record.pid);
  expect(isNew).toBe(true);
  process.kill(record.pid, "SIGTERM");
  await until(() => !isRunning(record.pid), "the instance ends");
});
