import { SerializationError, type DeploymentHandle, type Serialization } from "heliostat";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { values, type Values } from "../../fixtures/values.ts";
import { failureOf, quiet, start, type Mode, type Running } from "../harness.ts";

class Money {
  readonly cents = 5;
}

const plain = {
  s: "text ü 😀",
  n: 1.5,
  big: 2 ** 40,
  i: -7,
  t: true,
  f: false,
  z: null,
  list: [1, [2, { a: [] }]],
  o: {},
};

/** What a format carries, beyond plain values. */
const rich: Record<string, unknown> = {
  undefined: { a: undefined, b: [undefined, 1] },
  NaN: [Number.NaN, Infinity, -Infinity],
  "-0": -0,
  BigInt: [0n, -1n, 2n ** 100n],
  Date: new Date(1_234_567_890_123),
  Map: new Map<unknown, unknown>([
    ["a", 1],
    [{ k: 1 }, new Set([1])],
  ]),
  Set: new Set(["a", 1, null]),
  RegExp: /a+b/gi,
  Uint8Array: new Uint8Array([1, 2, 3]),
  "other typed arrays": [
    new Float64Array([1.5, Number.NaN]),
    new Int32Array([-1]),
    new BigInt64Array([-5n]),
    new Uint16Array([65_535]),
  ],
  ArrayBuffer: new Uint8Array([9, 8, 7]).buffer,
  DataView: new DataView(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2),
};

const unsendable: Record<string, unknown> = {
  "class instances": new Money(),
  functions: () => {},
  symbols: Symbol("s"),
  promises: Promise.resolve(1),
  URL: new URL("http://example.com"),
  Request: new Request("http://example.com"),
  AbortSignal: new AbortController().signal,
};

/** Semantics 27, 28. */
export function describeValues(mode: Mode): void {
  describe("values", () => {
    let running: Running<Values>;
    let handle: DeploymentHandle<Values>;
    beforeAll(async () => {
      running = await start(mode, values.bind());
      handle = running.handle;
    });
    afterEach(quiet);
    afterAll(() => running[Symbol.asyncDispose]());

    const using = (format: Serialization) =>
      handle.options({ requestSerialization: format, responseSerialization: format });

    describe.each(["structured", "v8", "msgpack", "json"] as const)("in %s", (format) => {
      it("plain ones travel both ways", async () => {
        expect(await using(format).echo.remote(plain)).toEqual(plain);
        for (const value of Object.values(plain)) expect(await using(format).echo.remote(value)).toEqual(value);
      });

      it.each(Object.keys(unsendable))("%s are an error that names the place", async (kind) => {
        const error = await failureOf(using(format).echo.remote({ a: [1, unsendable[kind]] }));
        expect(error).toBeInstanceOf(SerializationError);
        expect(error).toMatchObject({ code: "SERIALIZATION", retryable: false, path: "args[0].a[1]" });
      });

      it("what cannot be returned is an error of the caller's, and the replica goes on", async () => {
        for (const kind of ["function", "class", "symbol", "promise"] as const) {
          expect(await failureOf(using(format).unsendable.remote(kind))).toMatchObject({
            code: "SERIALIZATION",
            path: kind === "promise" ? "result[0]" : "result",
          });
        }
        expect(await failureOf(using(format).unsendable.remote("nested"))).toMatchObject({ path: "result.items[1]" });
        expect(await using(format).echo.remote(1)).toBe(1);
      });

      it("a value that is nested too deep is a SerializationError", async () => {
        let deep: unknown[] = [];
        for (let i = 0; i < 20_000; i++) deep = [deep];
        const error = await failureOf(using(format).echo.remote(deep));
        expect(error).toBeInstanceOf(SerializationError);
        expect(await using(format).echo.remote("still here")).toBe("still here");
      });

      it("errors of the user's travel whole", async () => {
        expect(await failureOf(using(format).sum.remote(null as never))).toBeInstanceOf(TypeError);
      });
    });

    describe.each(["structured", "v8"] as const)("in %s", (format) => {
      it.each(Object.keys(rich))("%s travels both ways", async (kind) => {
        const got = await using(format).echo.remote(rich[kind]);
        expect(got).toEqual(rich[kind]);
        expect(Object.prototype.toString.call(got)).toBe(Object.prototype.toString.call(rich[kind]));
        if (kind === "-0") expect(Object.is(got, -0)).toBe(true);
      });

      it("cycles and shared references stay what they are", async () => {
        const shared = { n: 1 };
        const cycle: Record<string, unknown> = { a: shared, b: shared };
        cycle["self"] = cycle;
        const got = (await using(format).echo.remote(cycle)) as typeof cycle;
        expect(got["self"]).toBe(got);
        expect(got["a"]).toBe(got["b"]);
      });

      it("a Buffer arrives as a Uint8Array", async () => {
        expect(await using(format).describe.remote(Buffer.from([1, 2]))).toBe("Uint8Array 0,1");
      });

      it("an Error keeps message and cause", async () => {
        const got = (await using(format).echo.remote(new RangeError("out", { cause: new Error("in") }))) as Error;
        expect(got).toBeInstanceOf(RangeError);
        expect([got.message, (got.cause as Error).message]).toEqual(["out", "in"]);
      });
    });

    it("in structured an Error keeps fields and members, too", async () => {
      const error = Object.assign(new AggregateError([new TypeError("one")], "all"), { code: 7 });
      const got = (await handle.echo.remote(error)) as typeof error;
      expect(got).toBeInstanceOf(AggregateError);
      expect(got.code).toBe(7);
      expect(got.errors[0]).toBeInstanceOf(TypeError);
    });

    it("in json: what JSON would change is an error", async () => {
      const json = using("json");
      for (const kind of ["NaN", "BigInt", "Date", "Map", "Set", "RegExp", "Uint8Array", "ArrayBuffer", "DataView"]) {
        const error = await failureOf(json.echo.remote({ value: rich[kind] }));
        expect(error, kind).toBeInstanceOf(SerializationError);
        expect((error as SerializationError).path).toMatch(/^args\[0\]\.value/);
      }
      const cycle: Record<string, unknown> = {};
      cycle["self"] = cycle;
      for (const value of [cycle, { error: new Error("e") }, { list: [undefined] }])
        expect(await failureOf(json.echo.remote(value))).toBeInstanceOf(SerializationError);
      expect(await json.describe.remote(-0)).toBe("number 0");
      expect(await json.describe.remote({ a: undefined, b: 1 })).toBe("Object b");
    });

    it("in msgpack: what is restored exactly travels, the rest is an error", async () => {
      const msgpack = using("msgpack");
      for (const kind of ["undefined", "NaN", "-0", "Uint8Array"])
        expect(await msgpack.echo.remote(rich[kind]), kind).toEqual(rich[kind]);
      for (const kind of Object.keys(rich)) {
        const outcome = await msgpack.echo.remote(rich[kind]).then(
          (value) => ({ value }),
          (error: unknown) => ({ error }),
        );
        if ("error" in outcome) expect(outcome.error, kind).toBeInstanceOf(SerializationError);
        else expect(outcome.value, kind).toEqual(rich[kind]);
      }
      const cycle: Record<string, unknown> = {};
      cycle["self"] = cycle;
      for (const value of [cycle, { error: new Error("e") }])
        expect(await failureOf(msgpack.echo.remote(value))).toBeInstanceOf(SerializationError);
    });

    it("of requests and responses may have different formats", async () => {
      const mixed = handle.options({ requestSerialization: "v8", responseSerialization: "json" });
      expect(await mixed.describe.remote(new Map())).toBe("Map ");
      expect(await failureOf(mixed.echo.remote(new Map()))).toMatchObject({ code: "SERIALIZATION", path: "result" });
    });

    it("that are large travel as they are, beside small ones, in both directions", async () => {
      const large = new Uint8Array(3_000_000).map((_, i) => i % 251);
      const [echoed, sum, filled, small] = await Promise.all([
        handle.echo.remote(large),
        handle.sum.remote(large),
        handle.fill.remote(2_000_000),
        handle.echo.remote("small"),
      ]);
      expect(Buffer.compare(echoed as Uint8Array, large)).toBe(0);
      expect(sum).toBe(large.reduce((a, b) => a + b, 0));
      expect(filled).toHaveLength(2_000_000);
      expect(filled.every((byte) => byte === 7)).toBe(true);
      expect(small).toBe("small");
      const text = "ü".repeat(500_000);
      expect(await handle.echo.remote(text)).toBe(text);
    });

    it("travel whatever byReference is", async () => {
      const large = new Uint8Array(200_000).fill(3);
      for (const byReference of [true, false])
        expect(await handle.options({ byReference }).sum.remote(large)).toBe(600_000);
    });
  });
}
