import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Reaper } from "./reaper.ts";

let root: string;
const started: number[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heliostat-test-"));
});
afterEach(() => {
  for (const pid of started.splice(0)) kill(-pid);
  rmSync(root, { recursive: true, force: true });
});

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** A process group that never ends by itself: a shell and its child. */
function group(mark = "none"): ChildProcess {
  const child = spawn("/bin/sh", ["-c", "trap '' TERM HUP INT; sleep 1000 & wait", mark], {
    detached: true,
    stdio: "ignore",
  });
  started.push(child.pid!);
  return child;
}

/** A driver whose reaper watches what is given; resolves when it has one. */
async function driverOf(
  directory: string,
  parent: string,
  what: { graceS: number; watched: [pid: number, mark: string]; other?: number; forsake?: boolean },
): Promise<ChildProcess> {
  const driver = spawn(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `import { Reaper } from ${JSON.stringify(new URL("./reaper.ts", import.meta.url).href)};
       const what = ${JSON.stringify(what)};
       const reaper = new Reaper(${JSON.stringify(directory)}, ${JSON.stringify(parent)}, what.graceS);
       reaper.watch(...what.watched);
       if (what.other !== undefined) reaper.watch(what.other, "of-another-process");
       if (what.forsake) reaper.forsake();
       process.stdout.write("ready");
       setInterval(() => {}, 1000);`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await once(driver.stdout, "data");
  return driver;
}

/** Resolves when there is no process of this number. */
async function ended(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Resolves when `path` is gone. */
async function gone(path: string): Promise<void> {
  const watcher = watch(root);
  try {
    while (existsSync(path)) await once(watcher, "change");
  } finally {
    watcher.close();
  }
}

test("when its driver is killed, it kills what the driver had started and removes the directory", async () => {
  const parent = join(root, "parent");
  const directory = join(parent, "directory");
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "r1.sock"), "");
  const [watched, forgotten] = [group(), group()];
  const driver = spawn(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `import { Reaper } from ${JSON.stringify(new URL("./reaper.ts", import.meta.url).href)};
       const reaper = new Reaper(${JSON.stringify(directory)}, ${JSON.stringify(parent)});
       reaper.watch(${watched.pid});
       reaper.watch(${forgotten.pid});
       reaper.forget(${forgotten.pid});
       process.stdout.write("ready " + reaper.pid + "\\n");
       setInterval(() => {}, 1000);`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await once(driver.stdout, "data");
  const ended = once(watched, "exit");
  driver.kill("SIGKILL");
  expect((await ended)[1]).toBe("SIGKILL");
  await gone(parent);
  expect(existsSync(directory)).toBe(false);
  expect([forgotten.exitCode, forgotten.signalCode]).toEqual([null, null]);
});

test("with time for another driver, it waits, and then kills only what has its mark", async () => {
  const parent = join(root, "parent");
  const directory = join(parent, "directory");
  mkdirSync(directory, { recursive: true });
  const [marked, other] = [group("marked-one"), group()];
  const driver = await driverOf(directory, parent, {
    graceS: 1,
    watched: [marked.pid!, "marked-one"],
    other: other.pid!,
  });
  const ended = once(marked, "exit");
  driver.kill("SIGKILL");
  expect((await ended)[1]).toBe("SIGKILL");
  await gone(parent);
  expect([other.exitCode, other.signalCode]).toEqual([null, null]);
});

test("when the next driver has a reaper, the one before leaves it everything", async () => {
  const directory = join(root, "directory");
  mkdirSync(directory);
  const child = group("marked-one");
  const driver = await driverOf(directory, root, { graceS: 1_000, watched: [child.pid!, "marked-one"] });
  const before = readFileSync(join(directory, "reaper"), "utf8");
  const next = new Reaper(directory, root, 1_000);
  next.start();
  driver.kill("SIGKILL");
  await ended(Number(before));
  expect(existsSync(directory)).toBe(true);
  expect([child.exitCode, child.signalCode]).toEqual([null, null]);
  await next.close();
});

test("forsaken, nothing waits for another driver", async () => {
  const directory = join(root, "parent", "directory");
  mkdirSync(directory, { recursive: true });
  const child = group();
  const driver = await driverOf(directory, join(root, "parent"), {
    graceS: 1_000,
    watched: [child.pid!, ""],
    forsake: true,
  });
  const killed = once(child, "exit");
  driver.kill("SIGKILL");
  expect((await killed)[1]).toBe("SIGKILL");
  await gone(join(root, "parent"));
});

test("closed in order, it ends and touches nothing", async () => {
  const directory = join(root, "directory");
  mkdirSync(directory);
  const reaper = new Reaper(directory, root);
  const child = group();
  reaper.watch(child.pid!);
  await reaper.close();
  await reaper.close();
  expect(existsSync(directory)).toBe(true);
  expect([child.exitCode, child.signalCode]).toEqual([null, null]);
  expect(() => process.kill(reaper.pid!, 0)).toThrow(/ESRCH/);
});

test.runIf(process.platform === "linux")("it is known by name among the processes", async () => {
  const reaper = new Reaper(join(root, "directory"), root);
  reaper.start();
  expect(readFileSync(`/proc/${reaper.pid}/cmdline`, "utf8").split("\0")).toContain("heliostat-reaper");
  await reaper.close();
});
