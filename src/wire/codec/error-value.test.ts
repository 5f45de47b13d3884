import { describe, expect, test } from "vitest";
import {
  BackPressureError,
  HeliostatError,
  RequestTimeoutError,
  SerializationError,
  UnknownMethodError,
} from "../../core/errors.ts";
import { FormatTable } from "./format.ts";
import { ByteReader } from "./reader.ts";
import { StructuredFormat } from "./structured.ts";
import { decodeThrown, encodeThrown } from "./thrown.ts";
import { ByteWriter } from "./writer.ts";

const table = new FormatTable([new StructuredFormat()]);

function send<T>(thrown: T): T {
  const writer = new ByteWriter();
  encodeThrown(thrown, writer, table);
  return decodeThrown(new ByteReader(writer.copy()), table) as T;
}

class TokenError extends RangeError {
  readonly position: number;
  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

describe("a user's error", () => {
  test("keeps class name, message, fields and stack, and is an error of what it extends", () => {
    const error = new TokenError("bad token", 17);
    const read = send(error);
    expect(read).toBeInstanceOf(RangeError);
    expect([read.constructor.name, read.name, read.message, read.position]).toEqual([
      "TokenError",
      "TokenError",
      "bad token",
      17,
    ]);
    expect(read.stack).toBe(error.stack);
    expect(Object.keys(read)).toEqual(["position"]);
    expect(read).not.toBeInstanceOf(TokenError);
  });

  test("keeps a name of its own, as enumerable as it was", () => {
    const hidden = Object.defineProperty(new TokenError("m", 1), "name", { value: "E_TOKEN", configurable: true });
    const shown = Object.assign(new Error("m"), { name: "Shown" });
    expect([send(hidden).name, send(hidden).constructor.name, Object.keys(send(hidden))]).toEqual([
      "E_TOKEN",
      "TokenError",
      ["position"],
    ]);
    expect([send(shown).name, Object.keys(send(shown))]).toEqual(["Shown", ["name"]]);
  });

  test("comes out of several hops as out of one", () => {
    const once = send(new TokenError("m", 1));
    const twice = send(once);
    expect([twice.constructor, twice.name, twice.stack]).toEqual([once.constructor, once.name, once.stack]);
  });

  test("loses fields that cannot travel, and nothing else", () => {
    const shared = { n: 1 };
    const error = Object.assign(new Error("m"), {
      first: shared,
      socket: { deep: [shared, { fn: () => 1 }] },
      [Symbol("s")]: 1,
      self: undefined as unknown,
      again: shared,
      last: [shared],
    });
    const broken = (): never => {
      throw new Error("no");
    };
    Object.defineProperty(error, "broken", { get: broken, enumerable: true });
    error.self = error;
    const read = send(error);
    expect(Object.keys(read)).toEqual(["first", "self", "again", "last"]);
    expect(read.self).toBe(read);
    expect(read.again).toBe(read.first);
    expect(read.last[0]).toBe(read.first);
  });

  test("keeps its cause, through cycles too, not enumerable; a cause that cannot travel is left out", () => {
    const error = new Error("outer", { cause: new TokenError("inner", 2) });
    (error.cause as Error).cause = error;
    const read = send(error);
    expect((read.cause as Error).constructor.name).toBe("TokenError");
    expect((read.cause as Error).cause).toBe(read);
    expect(Object.keys(read)).toEqual([]);
    expect("cause" in send(new Error("m", { cause: () => 1 }))).toBe(false);
    expect("cause" in send(new Error("m"))).toBe(false);
    expect(Object.hasOwn(send(new Error("m", { cause: undefined })), "cause")).toBe(true);
  });

  test("with a chain of causes deeper than the limit still arrives", () => {
    let error = new Error("0");
    for (let i = 1; i < 3_000; i++) error = new Error(String(i), { cause: error });
    let depth = 0;
    for (let at: unknown = send(error); at instanceof Error; at = at.cause) depth++;
    expect(depth).toBe(1_000);
  });

  test("never runs what its class would", () => {
    let runs = 0;
    class Counting extends Error {
      constructor() {
        super("m");
        runs++;
      }
    }
    send(new Counting());
    expect(runs).toBe(1);
  });

  test("with a name that means something to objects is made all the same", () => {
    for (const name of ["__proto__", "constructor", "", "a b", "Error", "toString"]) {
      const error = new Error("m");
      Object.setPrototypeOf(error, { ["__proto__"]: Error.prototype, constructor: { name } });
      expect(send(error)).toBeInstanceOf(Error);
      expect(send(error).message).toBe("m");
    }
    const odd = new Error("m");
    Object.defineProperty(odd, "__proto__", { value: { admin: true }, enumerable: true });
    expect(Object.getOwnPropertyDescriptor(send(odd), "__proto__")?.value).toEqual({ admin: true });
  });

  test("does not make more classes than are kept", () => {
    for (let i = 0; i < 1_000; i++) {
      const Named = { [`E${i}`]: class extends Error {} }[`E${i}`]!;
      expect(send(new Named("m")).constructor.name).toBe(`E${i}`);
    }
    expect(send(new TokenError("m", 1)).constructor).toBe(send(new TokenError("n", 2)).constructor);
  });
});

describe("a built-in error", () => {
  test.each([Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError])(
    "%o is one again",
    (Class) => {
      const read = send(new Class("m"));
      expect(Object.getPrototypeOf(read)).toBe(Class.prototype);
      expect([read.name, read.message]).toEqual([Class.name, "m"]);
      expect(Object.hasOwn(send(new Class()), "message")).toBe(false);
    },
  );

  test("AggregateError keeps its members", () => {
    const read = send(new AggregateError([new TokenError("1", 1), "text"], "several"));
    expect(read).toBeInstanceOf(AggregateError);
    expect([(read.errors[0] as Error).constructor.name, read.errors[1], read.message]).toEqual([
      "TokenError",
      "text",
      "several",
    ]);
    expect(Object.keys(read)).toEqual([]);
  });

  test("DOMException keeps its name and code", () => {
    const read = send(new DOMException("stop", "AbortError"));
    expect(read).toBeInstanceOf(DOMException);
    expect([read.name, read.code, read.message]).toEqual(["AbortError", 20, "stop"]);
  });

  test("leaves the stacks of this process as they are", () => {
    const { stackTraceLimit } = Error;
    send(new Error("m"));
    expect(Error.stackTraceLimit).toBe(stackTraceLimit);
  });
});

describe("an error of heliostat's", () => {
  test("is one of its class, by its code", () => {
    const errors = [
      new BackPressureError("full", { deployment: "D", queued: 3, maxQueuedRequests: 3 }),
      new RequestTimeoutError("late", { timeoutMs: 5, stopped: true }),
      new UnknownMethodError("no", { method: "m", available: ["a", "b"] }),
      new SerializationError("no", { path: "args[0]", cause: new Error("c") }),
    ];
    for (const error of errors) {
      const read = send(error);
      expect(Object.getPrototypeOf(read)).toBe(Object.getPrototypeOf(error));
      expect(Object.entries(read as object)).toEqual(Object.entries(error));
      expect(HeliostatError.isInstance(read)).toBe(true);
      expect([read.name, read.message, read.retryable, read.stack]).toEqual([
        error.name,
        error.message,
        error.retryable,
        error.stack,
      ]);
    }
  });

  test("of a code that is not known here is still one of ours", () => {
    const read = send(new HeliostatError("m", { code: "NEWER", retryable: true }));
    expect(HeliostatError.isInstance(read)).toBe(true);
    expect([read.code, read.retryable, read.name]).toEqual(["NEWER", true, "HeliostatError"]);
  });
});

describe("what is thrown and is no error", () => {
  test.each([[undefined], [null], ["text"], [42], [{ code: 5 }], [[1, 2]]])("%o arrives as it is", (thrown) => {
    expect(send(thrown)).toStrictEqual(thrown);
  });

  test("and cannot travel arrives as an error that tells of it", () => {
    const cases: [unknown, string][] = [
      [Symbol("s"), "Symbol(s)"],
      [() => 1, "function"],
      [{ fn: () => 1 }, "result.fn"],
    ];
    for (const [thrown, text] of cases) {
      const read = send(thrown);
      expect(read).toBeInstanceOf(HeliostatError);
      expect((read as Error).message).toContain(text);
    }
  });
});
