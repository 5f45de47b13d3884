import { ReplicaDiedError, RequestCancelledError, RequestTimeoutError } from "heliostat";
import { describe, expect, it } from "vitest";
import { fragile } from "../fixtures/fragile.ts";
import { failureOf, isRunning, quiet, start, until, type Mode } from "./harness.ts";

/** Whether this process still polls: an immediate that is pending when nothing is to be done. */
async function polls(): Promise<boolean> {
  await new Promise((resolve) => setTimeout(resolve, 5));
  return process.getActiveResourcesInfo().includes("Immediate");
}

describe.each<Mode>(["processes", "local"])("calls with spinUs, %s", (mode) => {
  it("come to the same as without, one after another and together", async () => {
    await using running = await start(mode, fragile.options({ maxOngoingRequests: 100 }).bind());
    const handle = running.handle.options({ spinUs: 100 });
    const pid = await running.handle.pid.remote();
    for (let i = 0; i < 300; i++) expect(await handle.pid.remote()).toBe(pid);
    // Each has its own reply, and those without the option among them have theirs.
    const mixed = Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? running.handle : handle).see.remote(`${i}`));
    const lengths = (await Promise.all(mixed)).map((seen) => seen.length);
    expect(lengths).toEqual(mixed.map((_, i) => i + 1));
    await quiet();
    expect(await polls()).toBe(false);
  });

  it("end as others do: by cancel, by deadline, by leaving a stream", async () => {
    await using running = await start(mode, fragile.bind());
    const handle = running.handle.options({ spinUs: 1_000 });
    for (let i = 0; i < 100; i++) await handle.pid.remote();
    const cancelled = handle.work.remote(20);
    setImmediate(() => cancelled.cancel());
    expect(await failureOf(cancelled)).toBeInstanceOf(RequestCancelledError);
    const late = handle.options({ timeoutMs: 5 }).work.remote(50);
    expect(await failureOf(late)).toBeInstanceOf(RequestTimeoutError);
    const items: number[] = [];
    for await (const item of handle.options({ stream: true }).count.remote()) {
      items.push(item);
      if (item === 5) break;
    }
    expect(items).toEqual([0, 1, 2, 3, 4, 5]);
    await quiet();
    expect(await polls()).toBe(false);
  });

  it("keep no timer waiting", async () => {
    await using running = await start(mode, fragile.bind());
    const handle = running.handle.options({ spinUs: 10_000_000 });
    for (let i = 0; i < 50; i++) await handle.pid.remote();
    const call = handle.work.remote(30);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await call;
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(3);
    await quiet();
  });
});

it("a call with spinUs is lost with its replica, and leaves nothing", async () => {
  await using running = await start("processes", fragile.bind());
  const handle = running.handle.options({ spinUs: 10_000_000 });
  const pid = await handle.pid.remote();
  for (let i = 0; i < 50; i++) await handle.pid.remote();
  const call = handle.work.remote(60_000);
  setImmediate(() => process.kill(pid, "SIGKILL"));
  expect(await failureOf(call)).toBeInstanceOf(ReplicaDiedError);
  await until(() => !isRunning(pid), "it is not dead");
  expect(await polls()).toBe(false);
  expect(await running.handle.pid.remote()).not.toBe(pid);
  await quiet();
});
