import { expect, test } from "vitest";
import { stackCodeSites } from "./code-site.ts";
import { Definitions } from "./definitions.ts";

const module = "file:///app.ts";
const make = (): Definitions => new Definitions({ callerModule: () => module });

test("finds what was registered, by module, name and order", () => {
  const definitions = make();
  const first = class Model {};
  const second = class Model {};
  const elsewhere = class Model {};
  expect(definitions.register({ module, name: "Model", target: first })).toEqual({ module, name: "Model", ordinal: 0 });
  expect(definitions.register({ module, name: "Model", target: second })).toEqual({
    module,
    name: "Model",
    ordinal: 1,
  });
  expect(definitions.register({ module: "file:///b.ts", name: "Model", target: elsewhere }).ordinal).toBe(0);
  expect(definitions.find({ module, name: "Model", ordinal: 0 })).toBe(first);
  expect(definitions.find({ module, name: "Model", ordinal: 1 })).toBe(second);
  expect(definitions.find({ module: "file:///b.ts", name: "Model", ordinal: 0 })).toBe(elsewhere);
  expect(definitions.find({ module, name: "Model", ordinal: 2 })).toBeUndefined();
  expect(definitions.find({ module, name: "Other", ordinal: 0 })).toBeUndefined();
});

test("gives one thing one reference, however often it is registered", () => {
  const definitions = make();
  const target = class Model {};
  definitions.register({ module, name: "Model", target: class Model {} });
  expect(definitions.register({ module, name: "Model", target }).ordinal).toBe(1);
  expect(definitions.register({ module, name: "Model", target }).ordinal).toBe(1);
});

test("lists what a module defines", () => {
  const definitions = make();
  definitions.register({ module, name: "A", target: class A {} });
  definitions.register({ module, name: "B", target: class B {} });
  expect(definitions.namesIn(module)).toEqual(["A", "B"]);
  expect(definitions.namesIn("file:///b.ts")).toEqual([]);
});

test("reads the calling module from the stack, also through built-ins", () => {
  const direct = (): string | undefined => stackCodeSites.callerModule(direct);
  expect(direct()).toBe(import.meta.url);
  expect([0].map(direct)).toEqual([import.meta.url]);
  expect(new Error("after").stack).toContain("after");
});

test("makes a URL of a CommonJS module's path", () => {
  const hashed = new Function("fn", "return fn();\n//# sourceURL=/tmp/a%#c.cjs") as (fn: () => unknown) => unknown;
  const callee = (): string | undefined => stackCodeSites.callerModule(callee);
  expect(hashed(callee)).toBe("file:///tmp/a%25%23c.cjs");
});
