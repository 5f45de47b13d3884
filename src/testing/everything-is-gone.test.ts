import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { serve } from "../app/serve.ts";
import { deployment } from "../core/deployment/deployment.ts";
import { systemClock } from "../engine/system-clock.ts";
import { everythingIsGone } from "./everything-is-gone.ts";

class Greeter {
  greet(name: string): string {
    return `Hello ${name}!`;
  }
}

test("says so after a shutdown, and names an application that runs before", async () => {
  const handle = await serve.run(deployment(Greeter).bind(), { local: true });
  expect(await handle.greet.remote("world")).toBe("Hello world!");
  await expect(everythingIsGone({ withinMs: 0 })).rejects.toThrow('application "default" runs');
  await serve.shutdown();
  await everythingIsGone();
});

test("names a timer", async () => {
  const timer = systemClock.setTimer(60_000, () => {});
  await expect(everythingIsGone({ withinMs: 0 })).rejects.toThrow("1 timers");
  timer.cancel();
  timer.cancel();
  await everythingIsGone();
});

test("names a process of ours, not another's", async () => {
  const other = spawn("/bin/sh", ["-c", "echo up; read line"], { stdio: ["pipe", "pipe", "ignore"] });
  const ours = spawn("/bin/sh", ["-c", "echo up; read line", "heliostat-reaper"], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  try {
    await Promise.all([once(ours.stdout, "data"), once(other.stdout, "data")]);
    await expect(everythingIsGone({ withinMs: 0 })).rejects.toMatchObject({
      leftovers: [expect.stringContaining(`process ${ours.pid}`)],
    });
  } finally {
    const gone = [once(ours, "exit"), once(other, "exit")];
    ours.stdin.end("\n");
    other.stdin.end("\n");
    await Promise.all(gone);
  }
  await everythingIsGone();
});

test("names a directory of sockets", async () => {
  const parent = join(tmpdir(), `heliostat-${process.getuid?.() ?? 0}`);
  const directory = join(parent, `${process.pid}-abcdef`);
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  mkdirSync(directory, { mode: 0o700 });
  try {
    await expect(everythingIsGone({ withinMs: 0 })).rejects.toMatchObject({ leftovers: [`directory ${directory}`] });
  } finally {
    rmSync(directory, { recursive: true });
  }
  await everythingIsGone();
});
