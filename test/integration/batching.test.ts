import { HeliostatError, RequestCancelledError } from "heliostat";
import { describe, expect, it } from "vitest";
import { Batcher, batcher, mixer } from "../fixtures/batcher.ts";
import { failureOf, start, until } from "./harness.ts";

/** Operations M1 to M6, through handles. */
describe.each(["processes", "local"] as const)("batching, %s", (mode) => {
  it("makes one call of the handler out of calls that come together", async () => {
    await using running = await start(mode, batcher.bind());
    const { handle } = running;
    expect(await Promise.all([1, 2, 3, 4].map((n) => handle.double.remote(n)))).toEqual([2, 4, 6, 8]);
    expect(await handle.remote(5)).toBe("doubled: 10");
    expect((await handle.batches.remote()).map(({ items }) => items)).toEqual([[1, 2, 3, 4], [5]]);
  });

  it("gives each caller its own error, and everybody that of the whole", async () => {
    await using running = await start(mode, batcher.bind());
    const { handle } = running;
    const [good, bad] = await Promise.allSettled([handle.double.remote(1), handle.double.remote(-1)]);
    expect(good).toEqual({ status: "fulfilled", value: 2 });
    expect(bad).toMatchObject({ reason: { name: "RangeError", message: "-1 is below 0" } });
    const broken = [handle.broken.remote(1), handle.broken.remote(2)];
    for (const response of broken) {
      const error = await failureOf(response);
      expect(error).toBeInstanceOf(HeliostatError);
      expect(error.message).toMatch(/got 2 items and returned an array of 1/);
    }
  });

  it("keeps models apart", async () => {
    await using running = await start(mode, batcher.bind());
    const { handle } = running;
    await Promise.all(
      ["a", "b", "a"].map((multiplexedModelId, n) => handle.options({ multiplexedModelId }).double.remote(n)),
    );
    const batches = (await handle.batches.remote()).map(({ items, modelId }) => ({ items, modelId }));
    expect(batches.toSorted((x, y) => x.modelId.localeCompare(y.modelId))).toEqual([
      { items: [0, 2], modelId: "a" },
      { items: [1], modelId: "b" },
    ]);
  });

  it("lets a cancelled caller leave a batch that waits, and stops one that nobody waits for", async () => {
    await using running = await start(mode, batcher.bind());
    const { handle } = running;
    // One batch runs, so the next one waits.
    const first = [handle.held.remote("a"), handle.held.remote("b")];
    await until(async () => (await handle.batches.remote()).length === 1, "no batch ran");
    const [left, stayed] = [handle.held.remote("c"), handle.held.remote("d")];
    left.cancel();
    expect(await failureOf(left)).toBeInstanceOf(RequestCancelledError);
    // The cancellation goes the same way as this call, and before it.
    await handle.release.remote();
    expect(await Promise.all(first)).toEqual(["a", "b"]);
    await until(async () => (await handle.batches.remote()).length === 2, "the second batch did not run");
    stayed.cancel();
    await until(async () => (await handle.batches.remote()).length === 3, "the signal did not abort");
    expect((await handle.batches.remote()).map(({ items }) => items)).toEqual([["a", "b"], ["d"], ["aborted"]]);
  });

  it("streams to each caller what is its own", async () => {
    await using running = await start(mode, batcher.bind());
    const spell = async (word: string): Promise<string> => {
      let spelt = "";
      for await (const letter of running.handle.options({ stream: true }).spell.remote(word)) spelt += letter;
      return spelt;
    };
    expect(await Promise.all([spell("ox"), spell("zebra")])).toEqual(["ox", "zebra"]);
    // One leaves in the middle; the other reads to its end.
    const leaving = async (): Promise<void> => {
      for await (const letter of running.handle.options({ stream: true }).spell.remote("zebra"))
        if (letter === "b") break;
    };
    expect(await Promise.all([leaving(), spell("hippopotamus")])).toEqual([undefined, "hippopotamus"]);
  });

  it("never mixes the items of two replicas", async () => {
    await using running = await start(mode, mixer.options({ numReplicas: 2, maxOngoingRequests: 5 }).bind());
    const results = await Promise.all(Array.from({ length: 10 }, (_, i) => running.handle.remote(`item ${i}`)));
    expect(results.map(({ item }) => item)).toEqual(Array.from({ length: 10 }, (_, i) => `item ${i}`));
    for (const { own, replicaId, with: size } of results) {
      expect(replicaId).toBe(own);
      expect(size).toBeLessThanOrEqual(5);
    }
    expect(new Set(results.map(({ own }) => own)).size).toBe(2);
    expect(Math.max(...results.map(({ with: size }) => size))).toBeGreaterThan(1);
  });
});

/** M1: outside of replicas. */
it("batches in a plain script, too", async () => {
  const { double } = new Batcher() as unknown as { double(n: number): Promise<number> };
  const outcomes = await Promise.allSettled([double(1), double(2)]);
  // The handler asks for its replica, and there is none: everybody is told so.
  for (const outcome of outcomes)
    expect(outcome).toMatchObject({ status: "rejected", reason: expect.any(HeliostatError) });
});
