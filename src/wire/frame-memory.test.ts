import { expect, test } from "vitest";
import { SLAB_BYTES, SlabPool } from "./frame-memory.ts";

const MB = 1_048_576;

function open(): { pool: SlabPool; made(): number } {
  let made = 0;
  const fresh = (bytes: number): Uint8Array<ArrayBuffer> => {
    made++;
    return new Uint8Array(bytes);
  };
  return { pool: new SlabPool({ receive: fresh, fresh }), made: () => made };
}

test("what was given back serves again, the last one first", () => {
  const { pool, made } = open();
  const [a, b] = [pool.take(MB), pool.take(MB)];
  pool.give(a);
  pool.give(b);
  expect(pool.take(MB - 1_000) === b).toBe(true);
  expect(pool.take(MB) === a).toBe(true);
  expect(pool.take(MB).length).toBe(MB);
  expect(made()).toBe(3);
});

test("the slab that fits best is taken, and none of more than twice the size", () => {
  const { pool } = open();
  const slabs = [4, 1, 2].map((size) => pool.take(size * MB));
  for (const slab of slabs) pool.give(slab);
  expect(pool.take(1.5 * MB).length).toBe(2 * MB);
  expect(pool.take(1.5 * MB).length).toBe(1.5 * MB);
  expect(pool.take(2.5 * MB).length).toBe(4 * MB);
  expect(pool.take(0.4 * MB).length).toBeLessThan(MB / 2);
  expect(pool.keptBytes).toBe(MB);
});

test("slabs for small frames are of one size", () => {
  const { pool, made } = open();
  const slab = pool.take(10);
  expect(slab.length).toBe(SLAB_BYTES);
  pool.give(slab);
  expect(pool.take(SLAB_BYTES) === slab).toBe(true);
  pool.give(new Uint8Array(100));
  expect(pool.take(10).length).toBe(SLAB_BYTES);
  expect(made()).toBe(2);
});

test("what is kept has a bound, and the oldest goes first", () => {
  const { pool } = open();
  const slabs = Array.from({ length: 50 }, () => pool.take(MB));
  for (const slab of slabs) pool.give(slab);
  expect(pool.keptBytes).toBe(40 * MB);
  for (let i = 0; i < 40; i++) expect(pool.take(MB) === slabs[49 - i]).toBe(true);
  expect(slabs.includes(pool.take(MB))).toBe(false);
  pool.give(new Uint8Array(41 * MB));
  expect(pool.keptBytes).toBe(0);
});

test("when only small frames are sent for a while, large slabs are dropped", () => {
  const { pool } = open();
  const slab = pool.take(MB);
  pool.give(slab);
  for (let i = 0; i < 4_000; i++) pool.age();
  expect(pool.take(MB) === slab).toBe(true);
  pool.give(slab);
  for (let i = 0; i < 4_095; i++) pool.age();
  expect(pool.keptBytes).toBe(MB);
  pool.age();
  expect(pool.keptBytes).toBe(0);
});
