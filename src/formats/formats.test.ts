import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ProtocolError, SerializationError } from "../core/errors.ts";
import type { SerializationName } from "../core/handle/call.ts";
import type { Format } from "../wire/codec/format.ts";
import { ByteReader } from "../wire/codec/reader.ts";
import { ByteWriter } from "../wire/codec/writer.ts";
import { defaultLimits } from "../wire/limits.ts";
import { formats } from "./formats.ts";

class Handle {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

const table = formats({
  describe: (value) =>
    value instanceof Handle ? { name: value.name, timeoutMs: Infinity, none: undefined } : undefined,
  revive: (data) => new Handle((data as { name: string }).name),
});
const names: readonly SerializationName[] = ["structured", "v8", "msgpack", "json"];

/** Through a writer that has something in it already, and a reader with something on both sides. */
function roundTrip<T>(format: Format, value: T): T {
  const writer = new ByteWriter(new Uint8Array(64));
  writer.at = 16;
  format.encode(value, writer, "result");
  const bytes = Buffer.from(writer.bytes);
  return format.decode(new ByteReader(bytes, 16, writer.at)) as T;
}

function pathOfFailure(format: Format, value: unknown): string {
  const writer = new ByteWriter(new Uint8Array(64));
  try {
    format.encodeArgs([0, { at: [value] }], writer);
  } catch (error) {
    expect(error).toBeInstanceOf(SerializationError);
    expect(writer.at).toBe(0);
    return (error as SerializationError).path;
  }
  return "it was encoded";
}

const cyclic: Record<string, unknown> = { a: 1 };
cyclic["self"] = cyclic;
const shared = { n: 1 };
const binary = () => ({
  buffer: new Uint8Array([1, 2, 3]).buffer,
  view: new DataView(new Uint8Array([1, 2, 3]).buffer, 1),
  int8: new Int8Array([-1, 1]),
  uint8: new Uint8Array([0, 255]),
  clamped: new Uint8ClampedArray([0, 255]),
  int16: new Int16Array([-1, 300]),
  uint16: new Uint16Array([65_535]),
  int32: new Int32Array([-1]),
  uint32: new Uint32Array([4_294_967_295]),
  float32: new Float32Array([1.5, Number.NaN]),
  float64: new Float64Array([0.1, -0]),
  bigint64: new BigInt64Array([-1n]),
  biguint64: new BigUint64Array([2n ** 64n - 1n]),
  part: new Float32Array([1, 2, 3, 4]).subarray(1, 3),
  large: new Uint8Array(100_000).fill(9),
});

/** One row of the table of what formats carry: what arrives, or "error". Unless told, that is the value itself. */
interface Row {
  readonly row: string;
  readonly value: unknown;
  readonly arrives?: Partial<Record<SerializationName, unknown>>;
}
const error = "error";
const everywhere = { structured: error, v8: error, msgpack: error, json: error };

const rows: readonly Row[] = [
  { row: "plain objects", value: { a: { "b c": 1, 0: "x", constructor: 2, toJSON: 3 }, empty: {} } },
  { row: "a property called __proto__", value: JSON.parse('{"__proto__":{"a":1},"b":2}') },
  { row: "a property called as our own mark", value: { $heliostat: { $heliostat: "00" } } },
  { row: "arrays", value: [1, [2, []], { a: [null] }] },
  { row: "strings", value: ["", "a", "é", "€", "😀", '\u0000\n"\\', "x".repeat(1_000), "€".repeat(70_000)] },
  { row: "half a surrogate pair", value: "a\ud800b", arrives: { msgpack: error } },
  { row: "numbers", value: [0, 1, -1, 127, 128, 65_536, 2 ** 31, -(2 ** 31) - 1, 2 ** 53 - 1, 1e300, 0.1, 5e-324] },
  { row: "-0", value: -0, arrives: { json: 0 } },
  { row: "-0 inside", value: { a: [-0] }, arrives: { json: { a: [0] } } },
  { row: "NaN", value: Number.NaN, arrives: { json: error } },
  { row: "Infinity", value: [-Infinity], arrives: { json: error } },
  { row: "booleans and null", value: [true, false, null] },
  { row: "undefined as a property", value: { a: undefined, b: 1 }, arrives: { json: { b: 1 } } },
  { row: "undefined in an array", value: [1, undefined], arrives: { json: error } },
  { row: "a hole", value: Object.assign([], { length: 3 }), arrives: { msgpack: error, json: error } },
  { row: "BigInt", value: [0n, 1n, -1n, 2n ** 63n, -(2n ** 64n), 2n ** 500n], arrives: { json: error } },
  {
    row: "Date",
    value: [new Date(0), new Date(1_790_000_000_123), new Date(-1), new Date(Number.NaN)],
    arrives: { json: error },
  },
  {
    row: "Map",
    value: new Map<unknown, unknown>([
      ["a", 1],
      [{ k: 1 }, new Map([[-0, { x: -0 }]])],
    ]),
    arrives: { json: error },
  },
  { row: "Set", value: new Set<unknown>([1, { a: 1 }, new Set()]), arrives: { json: error } },
  { row: "an empty Map and Set", value: [new Map(), new Set()], arrives: { json: error } },
  { row: "RegExp", value: [/a\/b/giu, /(?:)/], arrives: { json: error } },
  { row: "binary", value: binary(), arrives: { json: error } },
  {
    row: "a Buffer",
    value: [Buffer.from("abc")],
    arrives: {
      structured: [Uint8Array.of(97, 98, 99)],
      v8: [Uint8Array.of(97, 98, 99)],
      msgpack: [Uint8Array.of(97, 98, 99)],
      json: error,
    },
  },
  { row: "a cycle", value: cyclic, arrives: { msgpack: error, json: error } },
  { row: "a shared reference", value: [shared, shared], arrives: { msgpack: error, json: error } },
  { row: "a class instance", value: new (class Foo {})(), arrives: everywhere },
  { row: "a function", value: () => 1, arrives: everywhere },
  { row: "a class", value: class Foo {}, arrives: everywhere },
  { row: "a symbol", value: Symbol("s"), arrives: everywhere },
  { row: "a promise", value: Promise.resolve(1), arrives: everywhere },
  { row: "a generator", value: (function* () {})(), arrives: everywhere },
  { row: "a URL", value: new URL("http://a"), arrives: everywhere },
  { row: "a Request", value: new Request("http://a"), arrives: everywhere },
  { row: "an AbortSignal", value: AbortSignal.abort(), arrives: everywhere },
  { row: "a boxed string", value: Object("s"), arrives: everywhere },
  { row: "shared memory", value: new SharedArrayBuffer(1), arrives: everywhere },
  { row: "a property named by a symbol", value: { [Symbol("s")]: 1 }, arrives: everywhere },
  { row: "a RegExp match", value: /b/.exec("abc"), arrives: everywhere },
  { row: "an object with toJSON", value: { toJSON: () => 1 }, arrives: everywhere },
];

describe.each(names)("%s", (name) => {
  const format = table.byName(name);

  test.each(rows)("$row", ({ value, arrives = {} }) => {
    const expected = name in arrives ? arrives[name] : value;
    if (expected === error) {
      expect(pathOfFailure(format, value)).toMatch(/^args\[1\]\.at\[0\]/);
    } else {
      expect(roundTrip(format, value)).toStrictEqual(expected);
      const writer = new ByteWriter();
      format.encodeArgs(
        [value, { at: value === cyclic || typeof value !== "object" ? value : structuredClone(value) }],
        writer,
      );
      if (name === "structured" || name === "v8")
        expect(format.decodeArgs(new ByteReader(writer.copy()))[0]).toStrictEqual(expected);
    }
  });

  test("nothing arrives as undefined", () => {
    expect(roundTrip(format, undefined)).toBe(undefined);
  });

  test("arguments arrive in their number, those left out too", () => {
    for (const args of [[], [1], [undefined], [1, undefined, { a: 1 }, undefined], [[]], [null]]) {
      const writer = new ByteWriter();
      format.encodeArgs(args, writer);
      expect(format.decodeArgs(new ByteReader(writer.copy()))).toStrictEqual(args);
    }
  });

  test("handles arrive wherever they are", () => {
    const handle = new Handle("a");
    expect(roundTrip(format, handle)).toStrictEqual(handle);
    expect(roundTrip(format, { list: [new Handle("b")], deep: { handle } })).toStrictEqual({
      list: [new Handle("b")],
      deep: { handle },
    });
  });

  test("getters are read once", () => {
    let reads = 0;
    const value = {
      get counted() {
        return ++reads;
      },
    };
    expect([roundTrip(format, value), reads]).toEqual([{ counted: 1 }, 1]);
  });

  test("a depth of 1,000 travels, of 1,001 is an error", () => {
    let value: unknown = [];
    for (let i = 1; i < 1_000; i++) value = i % 2 ? { a: value } : [value];
    let depth = 0;
    for (
      let at: unknown = roundTrip(format, value);
      at !== undefined;
      at = Array.isArray(at) ? at[0] : (at as { a: unknown }).a
    )
      depth++;
    expect(depth).toBe(1_000);
    expect(() => format.encode([value], new ByteWriter(), "result")).toThrow(SerializationError);
  });

  test("what is too large is an error", () => {
    const small = formats(undefined, { ...defaultLimits, maxMessageBytes: 100 }).byName(name);
    const writer = new ByteWriter();
    expect(() => small.encode("x".repeat(200), writer, "result")).toThrow(SerializationError);
    expect(writer.at).toBe(0);
  });

  test("what arrives does not refer to what was read", () => {
    if (name === "json") return;
    const writer = new ByteWriter();
    format.encode([new Uint8Array(64).fill(7), new Uint8Array(20_000).fill(7), Buffer.alloc(30, 7)], writer, "result");
    const bytes = writer.copy();
    const read = format.decode(new ByteReader(bytes)) as Uint8Array[];
    bytes.fill(0);
    for (const array of read)
      expect([Object.getPrototypeOf(array) === Uint8Array.prototype, array.every((byte) => byte === 7)]).toEqual([
        true,
        true,
      ]);
  });

  test("bytes that are no message are a protocol error, and take no memory", () => {
    const samples: Record<SerializationName, number[][]> = {
      structured: [[], [0], [0, 0xff], [0, 0xac, 0xff, 0xff, 0xff, 0xff]],
      v8: [[], [0xff], [0xff, 0x0f], [0xff, 0x0f, 0x41, 0xff, 0xff, 0xff, 0x7f], [0xff, 0x0f, 0x5c, 3, 200, 1]],
      // A length without elements, a truncated map, a type that is none, two values; then extensions that the library would act upon: error, id, record.
      msgpack: [
        [],
        [0xdd, 0xff, 0xff, 0xff, 0xff],
        [0x91],
        [0xc1],
        [1, 1],
        [0xd4, 0x65, 0, 0x92, 0xa1, 0x61, 0xa1, 0x62],
        [0xd6, 0x69, 0, 0, 0, 1, 0x90],
        [0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1],
        [0xd4, 0x68, 0, 0x91, 1],
        [0xd4, 0x73, 0, 0xa1, 0x61],
      ],
      json: [
        [0x7b],
        [0x5b, 0x31],
        [0x2d],
        [...Buffer.from('{"$heliostat":"zz"}')],
        [...Buffer.from("[".repeat(3_000) + "]".repeat(3_000))],
      ],
    };
    for (const sample of samples[name])
      expect(() => format.decode(new ByteReader(Uint8Array.from(sample))), sample.slice(0, 20).join()).toThrow(
        ProtocolError,
      );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          format.decode(new ByteReader(bytes));
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("errors", () => {
  test("travel in v8 with message, stack and cause", () => {
    const thrown = new TypeError("m", { cause: { code: [1] } });
    const cycle = new RangeError("c");
    cycle.cause = cycle;
    const read = roundTrip(table.byName("v8"), [thrown, cycle] as const);
    expect(read[0]).toBeInstanceOf(TypeError);
    expect([read[0].message, read[0].stack, read[0].cause]).toEqual(["m", thrown.stack, { code: [1] }]);
    expect(read[1].cause).toBe(read[1]);
    expect(pathOfFailure(table.byName("v8"), new Error("m", { cause: () => 1 }))).toMatch(/^args\[1\]\.at\[0\]/);
  });

  test("do not travel in msgpack and json", () => {
    for (const name of ["msgpack", "json"] as const)
      expect(pathOfFailure(table.byName(name), new Error("m"))).toBe("args[1].at[0]");
  });
});

describe("any value that msgpack or json takes", () => {
  test("arrives as it was", () => {
    const value = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withUnicodeString: true,
      maxDepth: 3,
    });
    for (const name of ["v8", "msgpack"] as const) {
      fc.assert(
        fc.property(value, (sent) => {
          expect(roundTrip(table.byName(name), sent)).toStrictEqual(sent);
        }),
        { numRuns: 200 },
      );
    }
    fc.assert(
      fc.property(fc.jsonValue(), (sent) => {
        expect(roundTrip(table.byName("json"), sent)).toEqual(JSON.parse(JSON.stringify(sent)));
      }),
    );
  });
});

describe("the table", () => {
  test("has the formats by name and by number", () => {
    expect(names.map((name) => table.byName(name).number)).toEqual([0, 1, 2, 3]);
    expect([0, 1, 2, 3].map((number) => table.byNumber(number).name)).toEqual(names);
    expect(() => table.byNumber(4)).toThrow(ProtocolError);
    expect(() => table.byName("xml" as SerializationName)).toThrow(/"structured", "v8"/);
  });
});
