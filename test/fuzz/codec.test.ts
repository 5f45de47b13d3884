import fc from "fast-check";
import { expect, test } from "vitest";
import { ProtocolError } from "../../src/core/errors.ts";
import { ByteReader } from "../../src/wire/codec/reader.ts";
import { StructuredFormat } from "../../src/wire/codec/structured.ts";
import { ByteWriter } from "../../src/wire/codec/writer.ts";

/** By time, not by count: short in every run of the tests, long where somebody asks for it. */
const budgetMs = Number(process.env["FUZZ_MS"] ?? 2_000);
const structured = new StructuredFormat({ extension: { describe: () => undefined, revive: (data) => ({ data }) } });

/** Bytes of a value's own memory that one byte of a message may cost; more would be an amplifier. */
const MAX_BYTES_PER_BYTE = 4_096;

test("any bytes give a value or a protocol error", { timeout: budgetMs * 3 + 20_000 }, () => {
  const random = seeded(Date.now());
  const seeds = [...samples()].map(encode);
  const end = performance.now() + budgetMs;
  let values = 0;
  let refusals = 0;
  while (performance.now() < end) {
    for (let i = 0; i < 200; i++) {
      const bytes = i % 4 === 0 ? noise(random) : mutate(seeds[Math.floor(random() * seeds.length)]!, random);
      const start = performance.now();
      try {
        structured.decode(new ByteReader(bytes));
        values++;
      } catch (error) {
        if (!(error instanceof ProtocolError))
          throw new Error(`${Buffer.from(bytes).toString("hex")} gave no ProtocolError`, { cause: error });
        refusals++;
      }
      const tookMs = performance.now() - start;
      expect(tookMs, Buffer.from(bytes.subarray(0, 200)).toString("hex")).toBeLessThan(1_000);
    }
  }
  // Both ends of the path were reached, or nothing was tested.
  expect(values).toBeGreaterThan(100);
  expect(refusals).toBeGreaterThan(100);
});

test("whatever is read can be written, and read again", { timeout: budgetMs + 20_000 }, () => {
  const random = seeded(Date.now() + 1);
  const seeds = [...samples()].map(encode);
  const end = performance.now() + budgetMs / 4;
  while (performance.now() < end) {
    const bytes = mutate(seeds[Math.floor(random() * seeds.length)]!, random);
    let value: unknown;
    try {
      value = structured.decode(new ByteReader(bytes));
    } catch {
      continue;
    }
    const once = encode(value);
    expect(encode(structured.decode(new ByteReader(once)))).toEqual(once);
  }
});

test("a short message takes little memory", () => {
  const u32 = (n: number): number[] => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
  const greedy = [
    [0, 0xac, ...u32(0xffffffff), 0xa0],
    [0, 0xac, ...u32(0xfffffffe), 0xb0, ...u32(0xfffffffe)],
    [0, 0xac, ...u32(30_000_000), 0xb0, ...u32(30_000_000)],
    [0, 0xac, ...u32(30_000_000), 0xb0, ...u32(29_999_999), 1],
    [0, 0xa9, ...u32(0x7fffffff), 0x61],
    [0, 0xaa, ...u32(0x7ffffffe), 0x61, 0],
    [0, 0xab, 0, ...u32(0x7fffffff), 1],
    [0, 0xb5, 3, ...u32(0x7fffffff), 0],
    [0, ...Array.from({ length: 900 }, () => [0xac, ...u32(0xffffffff)]).flat()],
    [0, 0xac, ...u32(1_000_000), ...Array.from({ length: 900 }, () => [0xb0, ...u32(1_000)]).flat()],
  ];
  for (const message of greedy) {
    const before = process.memoryUsage();
    let value: unknown;
    try {
      value = structured.decode(new ByteReader(Uint8Array.from(message)));
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
    }
    const after = process.memoryUsage();
    const taken = after.heapTotal + after.external - before.heapTotal - before.external;
    expect(taken, Buffer.from(message.slice(0, 20)).toString("hex")).toBeLessThan(
      Math.max(32_000_000, message.length * MAX_BYTES_PER_BYTE),
    );
    expect(value === undefined || Array.isArray(value)).toBe(true);
  }
});

function encode(value: unknown): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(64));
  structured.encode(value, writer, "result");
  return writer.copy();
}

function* samples(): Generator<unknown> {
  const cyclic: unknown[] = [{ a: 1 }];
  cyclic.push(cyclic, cyclic[0], new Map<unknown, unknown>([[cyclic, new Set([cyclic])]]));
  yield cyclic;
  yield {
    list: [1, 300, -70_000, 0.5, 5n, -(2n ** 70n)],
    text: ["short", "€uro", "x".repeat(300), "\ud800"],
    flags: [true, false, null, undefined],
  };
  yield Object.assign(new TypeError("m", { cause: new AggregateError([new RangeError("r")], "a") }), {
    code: 1,
    at: new Date(0),
  });
  yield [
    new Uint8Array(20),
    new Float64Array(3),
    new DataView(new ArrayBuffer(4)),
    new ArrayBuffer(3),
    new Uint8Array(9_000),
  ];
  yield [
    /a+/g,
    new Date(Number.NaN),
    Object.assign([], { length: 5 }),
    Object.assign(Object.create(null) as object, { a: 1 }),
  ];
  yield* fc.sample(
    fc.anything({
      withMap: true,
      withSet: true,
      withBigInt: true,
      withDate: true,
      withTypedArray: true,
      withSparseArray: true,
      maxDepth: 3,
    }),
    100,
  );
}

function noise(random: () => number): Uint8Array {
  const bytes = Uint8Array.from({ length: 1 + Math.floor(random() * 60) }, () => Math.floor(random() * 256));
  bytes[0] = random() < 0.9 ? Math.floor(random() * 2) : bytes[0]!;
  return bytes;
}

/** A few bytes changed, put in, left out, or repeated. */
function mutate(seed: Uint8Array, random: () => number): Uint8Array {
  const bytes = [...seed.subarray(0, 2_000)];
  for (let changes = 1 + Math.floor(random() * 4); changes > 0; changes--) {
    const at = Math.floor(random() * bytes.length);
    const byte = random() < 0.5 ? 0xa0 + Math.floor(random() * 0x1a) : Math.floor(random() * 256);
    switch (Math.floor(random() * 5)) {
      case 0:
        bytes[at] = byte;
        break;
      case 1:
        bytes.splice(at, 0, byte);
        break;
      case 2:
        bytes.splice(at, 1 + Math.floor(random() * 3));
        break;
      case 3:
        bytes.splice(at, 0, ...bytes.slice(at, at + Math.floor(random() * 20)));
        break;
      default:
        bytes[0] = 1 - (bytes[0] ?? 0);
    }
  }
  return Uint8Array.from(bytes);
}

/** Mulberry32: good enough to choose bytes, and a failure shows its own. */
function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
