import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import type { DeploymentHandle } from "heliostat";
import { describe, expect, it } from "vitest";
import { checksum, type Mapper, mapper, pattern, sharedMemoryUse } from "../fixtures/mapper.ts";
import { isRunning, quiet, start, until } from "./harness.ts";

const MIB = 1_048_576;
const shmFiles = (): string[] => (existsSync("/dev/shm") ? readdirSync("/dev/shm").toSorted() : []);

/** Both sides have learnt that they can map what the other lends. */
async function acquaint(handle: DeploymentHandle<Mapper>): Promise<void> {
  const bytes = new Uint8Array(MIB);
  await until(async () => (await handle.use.remote(bytes)).mappings > 0, "the replica maps nothing");
  await until(async () => {
    await handle.give.remote(MIB, 1);
    return sharedMemoryUse().mappings > 1;
  }, "the caller maps nothing");
}

describe.skipIf(process.platform !== "linux")("large binary between processes", () => {
  it("arrives as it was sent, whatever its kind and size, and back", async () => {
    await using running = await start("processes", mapper.bind());
    const { handle } = running;
    await acquaint(handle);
    const kinds = [Uint8Array, Uint8ClampedArray, Int16Array, Float32Array, Float64Array, BigInt64Array, DataView];
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: MIB - 5_000, max: 3 * MIB }),
        fc.nat(),
        fc.constantFrom(...kinds, ArrayBuffer),
        async (length, seed, Kind) => {
          const whole = pattern(Math.floor(length / 8) * 8, seed);
          const { buffer } = whole;
          const View = Kind as new (buffer: ArrayBufferLike) => ArrayBufferView;
          const value = Kind === ArrayBuffer ? (buffer as ArrayBuffer) : new View(buffer);
          const expected = checksum(whole);
          const calls = [handle.checksum.remote(value), handle.nest.remote(value)] as const;
          // What happens to it now is nobody else's business.
          whole.fill(0);
          expect(await calls[0]).toBe(expected);
          const { nested } = await calls[1];
          expect(nested[0]).toBeInstanceOf(Kind);
          expect(checksum(nested[0]!)).toBe(expected);
        },
      ),
      { numRuns: 25 },
    );
    await quiet();
  });

  it("is each side's own: what one writes the other does not see", async () => {
    await using running = await start("processes", mapper.bind());
    const { handle } = running;
    await acquaint(handle);
    const bytes = pattern(2 * MIB, 5);
    const expected = checksum(bytes);
    const sums = await Promise.all([handle.overwrite.remote(bytes), handle.checksum.remote(bytes)]);
    expect(sums).toEqual([expected, expected]);
    expect(checksum(bytes)).toBe(expected);

    const given = await handle.giveAndChange.remote(2 * MIB);
    await handle.pid.remote();
    expect(checksum(given)).toBe(checksum(pattern(2 * MIB, 3)));
    given.fill(1);
    expect(checksum(await handle.give.remote(2 * MIB, 3))).toBe(checksum(pattern(2 * MIB, 3)));
    // It is an array like any other that came in a message: a part of it goes on to the next.
    expect(await handle.checksum.remote(given.subarray(100))).toBe(checksum(given.subarray(100)));
    await quiet();
  });

  it("goes from one replica through another", async () => {
    await using running = await start("processes", mapper.bind());
    const { handle } = running;
    await acquaint(handle);
    const expected = checksum(pattern(MIB, 8));
    expect(await handle.checksum.remote(handle.back.remote(handle.give.remote(MIB, 8)))).toBe(expected);
    await quiet();
  });

  it("is streamed at the pace of its reader, each item its own", async () => {
    await using running = await start("processes", mapper.bind());
    const { handle } = running;
    await acquaint(handle);
    const seen: Uint8Array[] = [];
    for await (const item of handle.options({ stream: true }).items.remote(20, MIB)) seen.push(item);
    expect(seen.map(checksum)).toEqual(Array.from({ length: 20 }, (_, i) => checksum(pattern(MIB, i))));
    await quiet();
  });

  it("stays in the message for a handle that says so", async () => {
    await using running = await start("processes", mapper.bind());
    const byValue = running.handle.options({ byReference: false });
    const before = sharedMemoryUse().files;
    let given!: Uint8Array;
    for (let i = 0; i < 5; i++) {
      expect((await byValue.use.remote(new Uint8Array(MIB))).mappings).toBe(0);
      given = await byValue.give.remote(MIB, 1);
    }
    // Neither side has even looked whether the other could map anything, and what arrived is memory like any other.
    expect([sharedMemoryUse().files, (await byValue.use.remote()).files]).toEqual([before, 0]);
    expect((given.buffer as ArrayBuffer).transfer().byteLength).toBeGreaterThanOrEqual(MIB);
    await quiet();
  });

  it("is copied once for all replicas of a broadcast", async () => {
    await using running = await start("processes", mapper.options({ numReplicas: 3 }).bind());
    const { handle } = running;
    const bytes = pattern(4 * MIB, 2);
    await until(
      async () => (await handle.broadcast("use", bytes)).every(({ mappings }) => mappings > 0),
      "a replica maps nothing",
    );
    const counts = await handle.broadcast("keep", bytes);
    expect(counts).toEqual([1, 1, 1]);
    expect(await handle.broadcast("checkKept")).toEqual(counts.map(() => [checksum(bytes)]));
    await quiet();
  });

  it("survives refusals: what waits for a place is what it was", async () => {
    await using running = await start("processes", mapper.options({ numReplicas: 2, maxOngoingRequests: 1 }).bind());
    const { handle } = running;
    await acquaint(handle);
    const calls = Array.from({ length: 30 }, (_, i) => {
      const bytes = pattern(MIB + i, i);
      const sum = handle.after.remote(i % 3, bytes);
      bytes.fill(0);
      return sum;
    });
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 30 }, (_, i) => checksum(pattern(MIB + i, i))));
    await quiet();
  });

  it("of calls that are given up is let go", async () => {
    await using running = await start("processes", mapper.options({ maxOngoingRequests: 2 }).bind());
    const { handle } = running;
    await acquaint(handle);
    const bytes = pattern(MIB, 4);
    for (let round = 0; round < 60; round++) {
      const calls = Array.from({ length: 8 }, () => handle.after.remote(1, bytes));
      await calls[0];
      for (const call of calls) call.cancel();
      await Promise.allSettled(calls);
    }
    await quiet();
    expect(await handle.checksum.remote(bytes)).toBe(checksum(bytes));
    // 480 calls, each with a region. What a replica has got it lets go of when it collects; the rest was free at once.
    expect(sharedMemoryUse().files).toBeLessThan(300);
  });

  it("by the thousand leaves memory flat on both sides", { timeout: 60_000 }, async () => {
    await using running = await start("processes", mapper.bind());
    const { handle } = running;
    await acquaint(handle);
    const bytes = pattern(MIB, 1);
    const sum = checksum(bytes);
    let highest = 0;
    for (let round = 0; round < 30; round++) {
      const sums = await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          if (i % 20 === 0) return handle.checksum.remote(bytes);
          const given = await handle.back.remote(bytes);
          return given[0] === bytes[0] && given.at(-1) === bytes.at(-1) ? sum : 0;
        }),
      );
      expect(new Set(sums)).toEqual(new Set([sum]));
      const far = await handle.use.remote();
      const near = sharedMemoryUse();
      highest = Math.max(highest, far.files, near.files, far.mappings, near.mappings);
    }
    // A round has 200 payloads on the way, and what is collected comes a little later; all 6,000 would be thousands.
    expect(highest).toBeLessThan(1_000);
    await quiet();
  });
});

describe.skipIf(process.platform !== "linux")("memory that was lent", () => {
  it("stays with its receiver when the sender is killed", async () => {
    const before = shmFiles();
    await using running = await start("processes", mapper.bind());
    const { handle } = running;
    await acquaint(handle);
    const given = await handle.give.remote(3 * MIB, 6);
    const pid = await handle.pid.remote();
    process.kill(pid, "SIGKILL");
    await until(() => !isRunning(pid), "it is not dead");
    expect(checksum(given)).toBe(checksum(pattern(3 * MIB, 6)));
    expect(shmFiles()).toEqual(before);
    await quiet();
  });

  it("is not written to when its receiver is killed, and is let go", async () => {
    await using running = await start("processes", mapper.options({ numReplicas: 2 }).bind());
    const { handle } = running;
    const bytes = pattern(2 * MIB, 9);
    await until(
      async () => (await handle.broadcast("use", bytes)).every(({ mappings }) => mappings > 0),
      "a replica maps nothing",
    );
    await handle.broadcast("keep", bytes);
    const [first] = await handle.broadcast("pid");
    process.kill(first!, "SIGKILL");
    await until(() => !isRunning(first!), "it is not dead");
    for (let i = 0; i < 20; i++) await failureOfOrValue(handle.checksum.remote(pattern(2 * MIB, i)));
    await until(async () => (await handle.broadcast("pid")).length === 2, "it is not replaced");
    const sums = (await handle.broadcast("checkKept")).flat();
    expect(sums).toEqual([checksum(bytes)]);
    await quiet();
  });

  it("leaves nothing when the driver is killed", async () => {
    const before = shmFiles();
    const script = fileURLToPath(new URL("../fixtures/lending-driver.ts", import.meta.url));
    const child = spawn(process.execPath, ["--conditions=heliostat-source", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const { replica, lent } = JSON.parse(line.toString()) as { replica: number; lent: number };
    expect(lent).toBeGreaterThan(0);
    child.kill("SIGKILL");
    await once(child, "exit");
    await until(() => !isRunning(replica), "the replica is left", 2_000);
    expect(shmFiles()).toEqual(before);
  });

  it("is all given back by shutdown", async () => {
    const before = sharedMemoryUse().files;
    {
      await using running = await start("processes", mapper.bind());
      await acquaint(running.handle);
      expect(sharedMemoryUse().files).toBeGreaterThan(before);
      await running.handle.keep.remote(new Uint8Array(MIB));
    }
    expect(sharedMemoryUse().files).toBe(before);
  });
});

/** Makes koffi as good as not installed, in a program and in its replicas. */
const hideKoffi = `data:text/javascript,${encodeURIComponent(`
  import module from "node:module";
  const resolve = module._resolveFilename;
  module._resolveFilename = function (name, ...rest) {
    if (name === "koffi") throw new Error("It is not installed.");
    return resolve.call(this, name, ...rest);
  };
`)}`;

describe.skipIf(process.platform !== "linux")("a program that sends large arrays", () => {
  const script = fileURLToPath(new URL("../fixtures/without-koffi.ts", import.meta.url));

  async function run(flags: readonly string[]): Promise<{ isRight: boolean; mappings: number }> {
    const child = spawn(process.execPath, ["--conditions=heliostat-source", ...flags, script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    await once(child, "close");
    return JSON.parse(output) as { isRight: boolean; mappings: number };
  }

  it("works without koffi, and shares nothing", async () => {
    expect(await run(["--import", hideKoffi])).toEqual({ isRight: true, mappings: 0 });
  });

  it("works with it, and does", async () => {
    const { isRight, mappings } = await run([]);
    expect(isRight).toBe(true);
    expect(mappings).toBeGreaterThan(0);
  });
});

/** Some calls meet the death of their replica. */
async function failureOfOrValue(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return error;
  }
}
