import { afterEach, describe, expect, test } from "vitest";
import { stackCodeSites } from "./code-site.ts";

const here = (): string | undefined => stackCodeSites.callerModule(here);

/** Code that is evaluated under a name of its own. */
function evaluated(name: string): (fn: () => unknown) => unknown {
  return new Function("fn", `return fn();\n//# sourceURL=${name}`) as (fn: () => unknown) => unknown;
}

test("reads the calling module from the stack, also through built-ins", () => {
  expect(here()).toBe(import.meta.url);
  expect([0].map(here)).toEqual([import.meta.url]);
  expect(new Error("after").stack).toContain("after");
});

test("makes a URL of a CommonJS module's path", () => {
  const callee = (): string | undefined => stackCodeSites.callerModule(callee);
  expect(evaluated("/tmp/a%#c.cjs")(callee)).toBe("file:///tmp/a%25%23c.cjs");
});

test.each([
  "webpack-internal:///./src/model.js",
  "webpack-internal:///(rsc)/./app/page.tsx",
  "https://example.org/model.js",
  "evalmachine.<anonymous>",
  "wasm://wasm/1",
])("code named %s is none that can be imported: the next frame that is a file counts", (name) => {
  expect(evaluated(name)(here)).toBe(import.meta.url);
});

describe("whatever was done to Error", () => {
  const before = ["prepareStackTrace", "stackTraceLimit"].map(
    (key) => [key, Object.getOwnPropertyDescriptor(Error, key)] as const,
  );
  afterEach(() => {
    for (const [key, property] of before) {
      Reflect.deleteProperty(Error, key);
      if (property !== undefined) Object.defineProperty(Error, key, property);
    }
  });

  const define = (key: string, property: PropertyDescriptor): void =>
    void Object.defineProperty(Error, key, { configurable: true, enumerable: true, ...property });

  test.each<[string, PropertyDescriptor]>([
    ["gives a text of its own", { writable: true, value: () => "nothing to see" }],
    ["gives texts", { writable: true, value: (_: unknown, frames: unknown[]) => frames.map(String) }],
    ["cannot be written to", { writable: false, value: () => "nothing to see" }],
    ["cannot be replaced", { get: () => () => "nothing to see", set: () => {} }],
    [
      "throws",
      {
        writable: true,
        value() {
          throw new Error("no");
        },
      },
    ],
  ])("a prepareStackTrace that %s", (_, property) => {
    define("prepareStackTrace", property);
    expect(here()).toBe(import.meta.url);
    expect(Object.getOwnPropertyDescriptor(Error, "prepareStackTrace")).toMatchObject(property);
  });

  test("a stackTraceLimit that shows nothing", () => {
    define("stackTraceLimit", { writable: true, value: 0 });
    expect(here()).toBe(import.meta.url);
    expect(Error.stackTraceLimit).toBe(0);
  });
});
