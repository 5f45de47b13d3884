import { expect, test } from "vitest";
import { collectYoung, ThreadMemory, threadMemory } from "./thread-memory.ts";

const MB = 1_048_576;

/** A collector that takes as long as it is told to. */
function open(tookMs: number): { memory: ThreadMemory; collections(): number; tookMs: number } {
  let nowMs = 0;
  let collections = 0;
  const opened = {
    tookMs,
    collections: () => collections,
    memory: new ThreadMemory({
      nowMs: () => nowMs,
      collectYoung: () => {
        collections++;
        nowMs += opened.tookMs;
      },
    }),
  };
  return opened;
}

test("memory is of its exact size, in a buffer of its own, and no Buffer", () => {
  for (const bytes of [threadMemory.receive(70_000), threadMemory.fresh(100), threadMemory.receive(3 * MB)]) {
    expect(Object.getPrototypeOf(bytes) === Uint8Array.prototype).toBe(true);
    expect([bytes.byteOffset, bytes.buffer.byteLength]).toEqual([0, bytes.byteLength]);
  }
});

test("what is young is collected after every few megabytes of large frames that came", () => {
  const { memory, collections } = open(0.3);
  for (let i = 0; i < 80; i++) memory.receive(MB);
  expect(collections()).toBe(10);
  for (let i = 0; i < 80; i++) memory.fresh(MB);
  for (let i = 0; i < 1_000; i++) memory.arrived(60_000);
  expect(collections()).toBe(10);
  for (let i = 0; i < 8; i++) memory.arrived(MB);
  expect(collections()).toBe(11);
});

test("the pieces of a stream count too, however small", () => {
  const { memory, collections } = open(0.3);
  for (let i = 0; i < 1_398; i++) memory.streamed(6_000);
  expect(collections()).toBe(0);
  memory.streamed(6_000);
  expect(collections()).toBe(1);
});

test("a collector that takes long is asked less often, and more often again when it is quick", () => {
  const opened = open(5);
  const { memory, collections } = opened;
  const megabytesUntilNext = (): number => {
    const before = collections();
    for (let i = 1; ; i++) {
      memory.arrived(MB);
      if (collections() > before) return i;
    }
  };
  expect(Array.from({ length: 5 }, megabytesUntilNext)).toEqual([8, 16, 32, 32, 32]);
  opened.tookMs = 0.2;
  expect(Array.from({ length: 5 }, megabytesUntilNext)).toEqual([32, 16, 8, 8, 8]);
});

test("large values that nobody keeps leave without a look through the whole heap", () => {
  const memory = new ThreadMemory({ collectYoung, nowMs: () => 0 });
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 200; i++) memory.receive(MB);
  // V8 alone lets 64 MB gather before it looks.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40 * MB);
});
