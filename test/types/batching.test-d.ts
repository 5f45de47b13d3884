import { batch, multiplexed, type Batched, type BatchedStream, type Multiplexed } from "heliostat";
import { expectTypeOf, test } from "vitest";

test("a batched function takes one item and gives its result", () => {
  const batched = batch(async (items: number[]) => items.map(String));
  expectTypeOf(batched).toEqualTypeOf<Batched<number, string>>();
  expectTypeOf(batched(1)).toEqualTypeOf<Promise<string>>();
});

test("errors in places are not part of the result", () => {
  const batched = batch(async (items: number[]) =>
    items.map((n): string | RangeError => (n > 0 ? String(n) : new RangeError("n"))),
  );
  expectTypeOf(batched(1)).toEqualTypeOf<Promise<string>>();
});

test("a batched generator gives streams, and done is no item", () => {
  const batched = batch(async function* (items: string[]) {
    yield items.map((item) => item.length);
    yield items.map((item) => (item === "" ? batch.done : item.length));
    yield [1, batch.done, new Error("late")];
  });
  expectTypeOf(batched).toEqualTypeOf<BatchedStream<string, number>>();
  expectTypeOf(batched("a")).toEqualTypeOf<AsyncIterableIterator<number>>();
  expectTypeOf(batch.done).not.toEqualTypeOf<symbol>();
});

test("options know the items", () => {
  batch(async (texts: string[]) => texts, {
    maxBatchSize: 5,
    batchWaitTimeoutMs: "adaptive",
    batchSizeOf: (texts) => texts.join("").length,
  });
  // @ts-expect-error no such option
  batch(async (texts: string[]) => texts, { maxBatch: 5 });
  // @ts-expect-error neither a number nor "adaptive"
  batch(async (texts: string[]) => texts, { batchWaitTimeoutMs: "soon" });
  // @ts-expect-error one array for each array
  batch(async (texts: string[]) => texts.join(""));
});

test("multiplexed gives what the loader loads", () => {
  const models = multiplexed(async (modelId, signal) => ({ modelId, aborted: signal.aborted }), {
    maxModelsPerReplica: 2,
  });
  expectTypeOf(models).toEqualTypeOf<Multiplexed<{ modelId: string; aborted: boolean }>>();
  expectTypeOf(models("a")).resolves.toEqualTypeOf<{ modelId: string; aborted: boolean }>();
  expectTypeOf(models.unload("a")).toEqualTypeOf<Promise<void>>();
  multiplexed(async (modelId) => ({ modelId, bytes: 8 }), { maxBytes: 100, sizeOf: (model) => model.bytes });
  // @ts-expect-error a model has no such field
  multiplexed(async (modelId) => ({ modelId }), { maxBytes: 100, sizeOf: (model) => model.bytes });
});
