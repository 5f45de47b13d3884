import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ProtocolError, SerializationError } from "../../core/errors.ts";
import { defaultLimits } from "../limits.ts";
import { ByteReader } from "./reader.ts";
import { StructuredFormat } from "./structured.ts";
import type { Root } from "./unsendable.ts";
import { ByteWriter } from "./writer.ts";

const structured = new StructuredFormat();

function encode(value: unknown, format = structured): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(16));
  format.encode(value, writer, "result");
  return writer.copy();
}

function decode(bytes: Uint8Array, format = structured): unknown {
  return format.decode(new ByteReader(bytes));
}

function roundTrip<T>(value: T): T {
  return decode(encode(value)) as T;
}

function failure(value: unknown, root: Root = "result"): SerializationError {
  try {
    if (root === "args") structured.encodeArgs(value as unknown[], new ByteWriter());
    else structured.encode(value, new ByteWriter(), root);
  } catch (error) {
    expect(error).toBeInstanceOf(SerializationError);
    return error as SerializationError;
  }
  return expect.unreachable("it was encoded");
}

/** Containers inside each other, the innermost empty. */
function nest(levels: number, put: (inner: unknown) => unknown, innermost: unknown): unknown {
  let value = innermost;
  for (let i = 1; i < levels; i++) value = put(value);
  return value;
}

describe("any value", () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withSparseArray: true,
    withTypedArray: true,
    withUnicodeString: true,
    maxDepth: 4,
  });

  test("arrives as it was", () => {
    fc.assert(
      fc.property(anything, (value) => {
        expect(roundTrip(value)).toStrictEqual(value);
      }),
      { numRuns: 500 },
    );
  });

  test("keeps every bit of a string, pair or half", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 200 }), (units) => {
        const text = String.fromCharCode(...units);
        expect(roundTrip([text, { [text]: 1 }])).toStrictEqual([text, Object.fromEntries([[text, 1]])]);
      }),
    );
  });

  test("keeps every number and BigInt", () => {
    fc.assert(
      fc.property(
        fc.double(),
        fc.integer(),
        fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }),
        (double, integer, big) => {
          const [a, b, c] = roundTrip([double, integer, big]);
          expect(Object.is(a, double) && b === integer && c === big).toBe(true);
        },
      ),
    );
  });

  test("keeps strings of every length around the changes of form", () => {
    for (const unit of ["a", "é", "€", "\ud83d\ude00", "\ud800"]) {
      for (let length = 0; length < 270; length++) expect(roundTrip(unit.repeat(length))).toBe(unit.repeat(length));
      for (const length of [8_191, 8_192, 8_193, 100_000])
        expect(roundTrip(unit.repeat(length)) === unit.repeat(length)).toBe(true);
    }
  });
});

describe("objects", () => {
  test("keep a property called __proto__ as data", () => {
    const value = JSON.parse('{"__proto__":{"admin":true},"a":1}') as object;
    const read = roundTrip(value);
    expect(Object.keys(read)).toEqual(["__proto__", "a"]);
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
    expect((read as { admin?: boolean }).admin).toBeUndefined();
  });

  test("keep having no prototype", () => {
    expect(Object.getPrototypeOf(roundTrip(Object.create(null)))).toBe(null);
  });

  test("are read once, getters too", () => {
    let reads = 0;
    const shared = {};
    const value = {
      a: shared,
      b: shared,
      get counted() {
        return ++reads;
      },
    };
    expect(roundTrip(value)).toEqual({ a: {}, b: {}, counted: 1 });
    expect(reads).toBe(1);
  });

  test("travel without what others have put on Object.prototype", () => {
    Object.defineProperty(Object.prototype, "polluted", {
      value: () => {},
      enumerable: true,
      configurable: true,
      writable: true,
    });
    let bytes: Uint8Array;
    try {
      bytes = encode({ a: 1 });
    } finally {
      delete (Object.prototype as { polluted?: unknown }).polluted;
    }
    expect(bytes).toEqual(encode({ a: 1 }));
  });

  test("of another realm are plain too", async () => {
    const { runInNewContext } = await import("node:vm");
    const foreign = runInNewContext(
      "({ list: [1, 2], map: new Map([[1, new Date(5)]]), error: new TypeError('x') })",
    ) as { error: Error };
    const read = roundTrip(foreign);
    expect(read).toMatchObject({ list: [1, 2], map: new Map([[1, new Date(5)]]) });
    expect(read.error).toBeInstanceOf(TypeError);
  });

  test("may be written by a getter that makes another call meanwhile", () => {
    const inner = { x: [1, 2] };
    const value = {
      get outer() {
        return [...encode(inner)];
      },
      inner,
    };
    expect(roundTrip(value)).toEqual({ outer: [...encode(inner)], inner });
  });
});

describe("identity", () => {
  test("is kept, for everything that has one", () => {
    for (const shared of [
      {},
      [],
      new Date(0),
      /x/,
      new Map(),
      new Set(),
      new Uint8Array(2),
      new ArrayBuffer(2),
      new Error("e"),
    ]) {
      const [a, b, other] = roundTrip([shared, { deep: shared }, 1] as const);
      expect(a).toBe(b.deep);
      expect(other).toBe(1);
    }
  });

  test("is kept among many objects", () => {
    for (const count of [10, 11, 12, 13, 63, 64, 65, 66, 200]) {
      const objects = Array.from({ length: count }, (_, i) => ({ i }));
      const read = roundTrip([...objects, ...objects]);
      for (let i = 0; i < count; i++) {
        expect(read[i]).toEqual({ i });
        expect(read[i]).toBe(read[i + count]);
      }
      expect(new Set(read).size).toBe(count);
    }
  });

  test("survives cycles through every container", () => {
    const object: Record<string, unknown> = {};
    const map = new Map<unknown, unknown>();
    const set = new Set<unknown>();
    const array: unknown[] = [object, map, set];
    const error = new Error("e", { cause: array });
    Object.assign(object, { object, array });
    map.set(map, set).set("error", error);
    set.add(array).add(set);
    const read = roundTrip(array) as [{ object: unknown; array: unknown }, Map<unknown, unknown>, Set<unknown>];
    expect(read[0].object).toBe(read[0]);
    expect(read[0].array).toBe(read);
    expect(read[1].get(read[1])).toBe(read[2]);
    expect((read[1].get("error") as Error).cause).toBe(read);
    expect(read[2].has(read) && read[2].has(read[2])).toBe(true);
  });

  test("is not mixed up between messages", () => {
    const object = {};
    encode([object, object]);
    expect(encode([object])).toEqual(Uint8Array.of(0, 0x81, 0xad, 0xaf));
  });
});

describe("arrays", () => {
  test("keep holes apart from undefined", () => {
    // oxlint-disable-next-line no-sparse-arrays
    const read = roundTrip([, undefined, , 1, ,]);
    expect(Object.keys(read)).toEqual(["1", "3"]);
    expect(read.length).toBe(5);
  });

  test("may be enormous and hold next to nothing", () => {
    const sparse: number[] = [];
    sparse[7] = 1;
    sparse[4_000_000_000] = 2;
    const bytes = encode(sparse);
    expect(bytes.length).toBeLessThan(40);
    const read = decode(bytes) as number[];
    expect([read.length, read[7], read[4_000_000_000], Object.keys(read).length]).toEqual([4_000_000_001, 1, 2, 2]);
  });

  test("with many far-apart elements are written in no time", () => {
    const sparse: number[] = [];
    for (let i = 0; i < 2_000; i++) sparse[i * 5_000] = i;
    const read = roundTrip(sparse);
    expect([read.length, read[5_000], read[1_999 * 5_000]]).toEqual([sparse.length, 1, 1_999]);
  });
});

describe("binary", () => {
  test("of every kind arrives as its kind; a Buffer as Uint8Array", () => {
    const source = Uint8Array.from({ length: 64 }, (_, i) => i).buffer;
    const views: (new (buffer: ArrayBuffer, offset: number, length: number) => ArrayBufferView)[] = [
      Int8Array,
      Uint8Array,
      Uint8ClampedArray,
      Int16Array,
      Uint16Array,
      Int32Array,
      Uint32Array,
      BigInt64Array,
      BigUint64Array,
      Float32Array,
      Float64Array,
      DataView,
    ];
    for (const View of views) {
      const view = new View(source, 16, 2);
      expect(roundTrip(view)).toStrictEqual(view);
    }
    const read = roundTrip(Buffer.from("bytes"));
    expect(Object.getPrototypeOf(read)).toBe(Uint8Array.prototype);
    expect(read).toEqual(new Uint8Array(Buffer.from("bytes")));
  });

  test.each([1, 500, 1_024, 8_191, 8_192, 100_000])(
    "of %i bytes never refers to bytes that are not its own",
    (size) => {
      const bytes = encode([new Uint8Array(size).fill(7), new ArrayBuffer(size)]);
      for (const memory of [new Uint8Array(bytes), Buffer.from(bytes)]) {
        const [read, buffer] = decode(memory) as [Uint8Array, ArrayBuffer];
        memory.fill(1);
        expect(read.every((byte) => byte === 7)).toBe(true);
        expect(new Uint8Array(buffer).every((byte) => byte === 0)).toBe(true);
      }
    },
  );

  test("that is large stays where it is in a frame of its own, aligned", () => {
    const value = { pad: "x", floats: new Float64Array(4_096).fill(1.5), small: new Float64Array(2) };
    const frame = new Uint8Array(new Uint8Array(encode(value)));
    const reader = new ByteReader(new Uint8Array(0));
    reader.reset(frame, 0, frame.length, true);
    const read = structured.decode(reader) as typeof value;
    expect(read).toStrictEqual(value);
    expect(read.floats.buffer).toBe(frame.buffer);
    expect(read.small.buffer).not.toBe(frame.buffer);
  });

  test("is aligned relative to where the message begins", () => {
    const writer = new ByteWriter(new Uint8Array(16));
    writer.at = 13;
    structured.encodeArgs(["a", new Float32Array(3_000).fill(2)], writer);
    const frame = writer.copy(13);
    const reader = new ByteReader(new Uint8Array(0));
    reader.reset(frame, 0, frame.length, true);
    expect((structured.decodeArgs(reader)[1] as Float32Array).buffer).toBe(frame.buffer);
  });

  test("without memory is refused", () => {
    const view = new Uint8Array(8);
    structuredClone(view, { transfer: [view.buffer] });
    expect(failure({ view }).path).toBe("result.view");
  });
});

describe("depth", () => {
  const shapes: [string, (inner: unknown) => unknown, unknown][] = [
    ["arrays", (inner) => [inner], []],
    ["objects", (inner) => ({ a: inner }), {}],
    ["Maps", (inner) => new Map([[1, inner]]), new Map()],
    ["Sets", (inner) => new Set([inner]), new Set()],
  ];
  test.each(shapes)("of 1,000 %s travels, of 1,001 is an error", (_, put, innermost) => {
    const deepest = nest(1_000, put, innermost);
    structured.encode(roundTrip(deepest), new ByteWriter(), "result");
    const writer = new ByteWriter();
    structured.encodeArgs([deepest], writer);
    expect(structured.decodeArgs(new ByteReader(writer.copy()))).toHaveLength(1);
    expect(failure(put(deepest)).message).toContain("nested deeper than 1000");
    expect(failure(nest(100_000, put, innermost)).message).toContain("nested deeper");
  });

  test("of what is read is limited too", () => {
    for (const opening of [0x81, 0xb3, 0xb4]) {
      expect(() => decode(new Uint8Array(50_000).fill(opening, 1))).toThrow(ProtocolError);
    }
  });

  test("that the stack has no room for is an error of ours, wherever the call is made", () => {
    const value = nest(1_000, (inner) => ({ a: [inner] }), {});
    const deep = (): unknown => {
      try {
        return deep();
      } catch {
        try {
          encode(nest(900, (inner) => [inner], []));
          return undefined;
        } catch (error) {
          return error;
        }
      }
    };
    expect(failure(value).message).toContain("nested deeper");
    const error = deep();
    expect(
      error === undefined || error instanceof SerializationError || (error as Error).message.includes("call stack"),
    ).toBe(true);
    expect(roundTrip({ after: 1 })).toEqual({ after: 1 });
  });
});

describe("what cannot travel", () => {
  class Avatar {}
  const cases: [string, unknown[], string, RegExp][] = [
    [
      "a class instance",
      [{ user: { avatar: new Avatar() } }],
      "args[0].user.avatar",
      /class Avatar.*plain object.*handle/,
    ],
    ["a function", [1, [0, 0, () => 1]], "args[1][2]", /function/],
    ["a class", [Avatar], "args[0]", /Avatar/],
    ["a symbol", [{ "a b": Symbol("s") }], 'args[0]["a b"]', /symbol/],
    ["a Map's value", [new Map([["k", () => 1]])], 'args[0].get("k")', /function/],
    ["a Map's key", [new Map([[() => 1, 1]])], "args[0].key(function)", /function/],
    ["a Set's member", [new Set([Symbol.iterator])], "args[0].member(Symbol(Symbol.iterator))", /symbol/],
    ["a promise", [{ r: Promise.resolve(1) }], "args[0].r", /response.*top level/],
    [
      "a thenable's instance",
      [
        [
          new (class Reply {
            then() {}
          })(),
        ],
      ],
      "args[0][0]",
      /response.*top level/,
    ],
    ["a generator", [{ items: (function* () {})() }], "args[0].items", /stream.*response.*top level/],
    ["an async generator", [{ items: (async function* () {})() }], "args[0].items", /stream.*response.*top level/],
    ["a ReadableStream", [new ReadableStream()], "args[0]", /stream/],
    ["a URL", [new URL("http://a")], "args[0]", /href/],
    ["a Request", [new Request("http://a")], "args[0]", /Request/],
    ["an AbortSignal", [{ signal: AbortSignal.abort() }], "args[0].signal", /options\(\{ signal \}\)/],
    ["a WeakMap", [new WeakMap()], "args[0]", /send a Map/],
    ["shared memory", [new SharedArrayBuffer(1)], "args[0]", /SharedArrayBuffer/],
    ["a boxed number", [Object(1)], "args[0]", /primitive/],
    ["a subclass of Array", [new (class Rows extends Array {})()], "args[0]", /class Rows/],
    ["a subclass of Map", [new (class Cache extends Map {})()], "args[0]", /class Cache/],
    ["a subclass of Uint8Array", [new (class Pixels extends Uint8Array {})(1)], "args[0]", /class Pixels/],
    ["an object that inherits data", [Object.create({ a: 1 })], "args[0]", /prototype of its own/],
    ["a property named by a symbol", [{ a: { [Symbol("s")]: 1 } }], "args[0].a", /symbol/],
    ["a RegExp match", [/b/.exec("abc")], "args[0]", /further properties/],
    ["a Date with a property", [Object.assign(new Date(), { zone: "UTC" })], "args[0]", /zone/],
    ["a false Date", [Object.create(Date.prototype)], "args[0]", /cannot be read/],
    ["a BigInt of two million digits", [1n << 9_000_000n], "args[0]", /BigInt/],
  ];
  test.each(cases)("%s", (_, args, path, message) => {
    const error = failure(args, "args");
    expect(error.path).toBe(path);
    expect(error.message).toMatch(message);
  });

  test("says what a getter threw", () => {
    const cause = new Error("not now");
    const error = failure({ list: [{ get lazy() { throw cause; } }] }); // oxfmt-ignore
    expect([error.path, error.cause]).toEqual(["result.list[0].lazy", cause]);
  });

  test("has a path from the result or item that it is part of", () => {
    expect(failure({ items: [0, () => 1] }, "result").path).toBe("result.items[1]");
    expect(failure({ name: () => 1 }, "item").path).toBe("item.name");
    expect(failure(() => 1, "item").path).toBe("item");
  });

  test("leaves no trace in the writer", () => {
    const writer = new ByteWriter(new Uint8Array(8));
    writer.u8(1);
    expect(() => structured.encodeArgs([{ a: "x".repeat(100), b: () => 1 }], writer)).toThrow(SerializationError);
    expect([...writer.copy()]).toEqual([1]);
    structured.encodeArgs([1], writer);
    expect([...writer.copy()]).toEqual([1, 0, 0x81, 1]);
  });

  test("is also what is too large", () => {
    const small = new StructuredFormat({ limits: { ...defaultLimits, maxMessageBytes: 1_000 } });
    for (const value of ["x".repeat(2_000), new Uint8Array(2_000), Array.from({ length: 600 }, () => "ab")]) {
      const writer = new ByteWriter(new Uint8Array(100_000));
      expect(() => small.encode({ value }, writer, "result")).toThrow(/too large/);
      expect(writer.at).toBe(0);
    }
  });
});

describe("handles", () => {
  class Handle {
    readonly name: string;
    constructor(name: string) {
      this.name = name;
    }
  }
  const format = new StructuredFormat({
    extension: {
      describe: (value) =>
        value instanceof Handle
          ? { name: value.name }
          : typeof value === "function" && "deployment" in value
            ? { name: value.deployment }
            : undefined,
      revive: (data) => new Handle((data as { name: string }).name),
    },
  });

  test("travel by their description, wherever they are, and stay the same handle", () => {
    const handle = new Handle("a");
    const called = Object.assign(() => {}, { deployment: "b" });
    const read = decode(encode({ handle, list: [handle, called] }, format), format) as {
      handle: Handle;
      list: Handle[];
    };
    expect(read.handle).toEqual(handle);
    expect(read.list[0]).toBe(read.handle);
    expect(read.list[1]).toEqual(new Handle("b"));
  });

  test("are asked for before any property of an unknown object is read", () => {
    const touched: PropertyKey[] = [];
    const proxy = new Proxy(new Handle("p"), {
      get: (_, key) => {
        touched.push(key);
        return "p";
      },
    });
    const asking = new StructuredFormat({
      extension: { describe: (value) => (value === proxy ? { name: "p" } : undefined), revive: (data) => data },
    });
    expect(decode(encode([proxy], asking), asking)).toEqual([{ name: "p" }]);
    expect(touched).toEqual([]);
  });

  test("that the other side does not know are a protocol error", () => {
    expect(() => decode(encode(new Handle("a"), format))).toThrow(ProtocolError);
  });
});

describe("bytes that are no message", () => {
  const cases: [string, number[]][] = [
    ["nothing", []],
    ["no value", [0]],
    ["an unknown header", [4, 1]],
    ["an unknown tag", [0, 0xff]],
    ["an end without a beginning", [0, 0xaf]],
    ["holes without an array", [0, 0xb0, 1, 0, 0, 0]],
    ["a string that is cut short", [0, 0x45, 0x61]],
    ["a long string that is cut short", [0, 0xa9, 0xff, 0xff, 0xff, 0xff, 0x61]],
    ["an array that promises four thousand million elements", [0, 0xac, 0xff, 0xff, 0xff, 0xff]],
    ["holes beyond the array", [0, 0x81, 0xb0, 2, 0, 0, 0]],
    ["a run of no holes", [0, 0x81, 0xb0, 0, 0, 0, 0]],
    ["a property without a value", [0, 0xad, 0x41, 0x61, 0xaf]],
    ["a property named by a number", [0, 0xad, 1, 1, 0xaf]],
    ["a reference in a message without references", [0, 0x82, 0xad, 0xaf, 0xb8, 2, 0, 0, 0]],
    ["a reference to no beginning", [1, 0x82, 0xad, 0xaf, 0xb8, 3, 0, 0, 0]],
    ["shared memory that nobody has offered", [2, 0xb9, 3, 0, 0, 16, 0, 1, 0, 0, 0, 1, 0, 0, 0]],
    ["binary of an unknown kind", [0, 0xb5, 99, 0, 0, 0, 0]],
    ["half an element", [0, 0xb5, 5, 1, 0, 0, 0, 1]],
    ["a BigInt that is cut short", [0, 0xab, 0, 255, 255, 15, 0]],
    ["a regular expression that is none", [0, 0xb2, 0x41, 0x28, 0x40, 0, 0, 0, 0, 0, 0, 0, 0]],
    ["an error of an unknown base", [0, 0xb6, 99, 0, 0x40, 0xaf]],
    ["bytes behind the value", [0, 1, 1]],
  ];
  test.each(cases)("%s", (_, bytes) => {
    expect(() => decode(Uint8Array.from(bytes))).toThrow(ProtocolError);
  });

  test("every message that is cut short", () => {
    const whole = encode({
      a: [1, 300, 1e9, 0.5, "text", "€", 5n],
      m: new Map([[1, new Set(["x"])]]),
      d: new Date(0),
      b: new Uint8Array(9),
      e: new TypeError("t", { cause: 1 }),
      r: /x/g,
    });
    for (let length = 0; length < whole.length; length++) {
      // What lies behind the end is there, as in a buffer of many frames; it must not be read.
      expect(() => structured.decode(new ByteReader(whole, 0, length)), `${length} bytes`).toThrow(ProtocolError);
    }
  });
});
