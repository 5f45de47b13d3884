import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { childPids, isRunning, socketDirectories, until } from "./harness.ts";

const script = fileURLToPath(new URL("../fixtures/driver.ts", import.meta.url));
/** What is promised, however the driver ends. */
const GONE_MS = 2_000;

interface Driver extends AsyncDisposable {
  readonly pid: number;
  /** Its replicas and whatever else it has started. */
  readonly children: readonly number[];
  readonly replicas: readonly number[];
  kill(signal: NodeJS.Signals): void;
  readonly exit: Promise<readonly [code: number | null, signal: string | null]>;
  stderr(): string;
}

async function startDriver(what: string): Promise<Driver> {
  const child = spawn(process.execPath, ["--conditions=heliostat-source", script, what], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const exit = once(child, "exit") as Promise<[number | null, string | null]>;
  const [line] = (await Promise.race([
    once(child.stdout, "data"),
    exit.then(([code]) => Promise.reject(new Error(`The driver ended with ${code}: ${stderr}`))),
  ])) as [Buffer];
  const replicas = JSON.parse(line.toString()) as number[];
  const children = childPids(child.pid!);
  return {
    pid: child.pid!,
    replicas,
    children: [...new Set([...replicas, ...children])],
    exit,
    kill: (signal) => child.kill(signal),
    stderr: () => stderr,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      for (const pid of replicas) if (isRunning(pid)) process.kill(pid, "SIGKILL");
      await exit;
    },
  };
}

async function expectAllGone({ pid, children }: Driver): Promise<void> {
  await until(
    () => !children.some(isRunning) && socketDirectories(pid).length === 0,
    "replicas or sockets are left",
    GONE_MS,
  );
}

/** Semantics 32 and 33: nothing is left, however the driver ends. */
describe("when the driver ends", () => {
  it.each(["wait", "block"])("by kill -9, its replicas do too (%s)", async (what) => {
    await using driver = await startDriver(what);
    expect(driver.replicas).toHaveLength(2);
    for (const pid of driver.replicas) expect(isRunning(pid)).toBe(true);
    expect(socketDirectories(driver.pid)).toHaveLength(1);
    driver.kill("SIGKILL");
    await driver.exit;
    await expectAllGone(driver);
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("by %s, it shuts down in order first", async (signal, code) => {
    await using driver = await startDriver("wait");
    driver.kill(signal);
    expect(await driver.exit).toEqual([code, null]);
    expect(driver.replicas.some(isRunning)).toBe(false);
    expect(socketDirectories(driver.pid)).toEqual([]);
    await expectAllGone(driver);
  });

  it("by a second Ctrl-C, it does not wait for a replica that is blocked", async () => {
    await using driver = await startDriver("block");
    driver.kill("SIGINT");
    await new Promise((resolve) => setTimeout(resolve, 100));
    driver.kill("SIGINT");
    expect(await driver.exit).toEqual([130, null]);
    await expectAllGone(driver);
  });

  it.each([
    ["throw", 1],
    ["exit", 7],
  ])("by %s, its replicas do too", async (what, code) => {
    await using driver = await startDriver(what);
    expect(await driver.exit).toEqual([code, null]);
    if (what === "throw") expect(driver.stderr()).toContain("the driver has had enough");
    await expectAllGone(driver);
  });

  it("by the end of its script after shutdown(), it ends by itself", async () => {
    await using driver = await startDriver("shutdown");
    expect(await driver.exit).toEqual([0, null]);
    expect(driver.stderr()).toBe("");
    await expectAllGone(driver);
  });

  it("stays alive while something runs", async () => {
    await using driver = await startDriver("wait");
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(isRunning(driver.pid)).toBe(true);
  });
});
