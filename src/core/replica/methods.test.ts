import { expect, test } from "vitest";
import { callableMethods, findMethod } from "./methods.ts";

class Base {
  inherited(): void {}
  overridden(): string {
    return "base";
  }
}

class Model extends Base {
  data = { a: 1 };
  arrow = (): string => "arrow";
  static fixed(): void {}
  get made(): () => string {
    return () => "made";
  }
  get plain(): number {
    return 1;
  }
  get broken(): never {
    throw new Error("a getter that throws");
  }
  override overridden(): string {
    return "model";
  }
  [Symbol.asyncDispose](): void {}
  #hidden(): void {}
  usesHidden(): void {
    this.#hidden();
  }
  override toString(): string {
    return "Model";
  }
}

const callable = ["arrow", "made", "overridden", "usesHidden", "inherited"];
const notCallable = [
  "constructor",
  "toString",
  "valueOf",
  "hasOwnProperty",
  "__proto__",
  "__defineGetter__",
  "isPrototypeOf",
  "data",
  "plain",
  "fixed",
  "#hidden",
  "hidden",
  "then",
  "",
];

test("own, inherited and function-valued fields are callable, and what every object has is not", () => {
  const model = new Model();
  expect(callableMethods(model)).toEqual(callable);
  for (const name of callable) expect(findMethod(model, name), name).toBeInstanceOf(Function);
  for (const name of notCallable) expect(findMethod(model, name), name).toBeUndefined();
  expect(findMethod(model, "overridden")!.call(model)).toBe("model");
});

test("an object without a prototype, and one that create() made of nothing, have their own", () => {
  const bare = Object.assign(Object.create(null) as object, { run: () => 1, toString: () => "x" });
  expect(callableMethods(bare)).toEqual(["run"]);
  expect(findMethod(bare, "run")).toBeInstanceOf(Function);
  expect(findMethod(bare, "toString")).toBeUndefined();
});

test("a function has one method", () => {
  const fn = Object.assign(() => 1, { extra: () => 2 });
  expect(callableMethods(fn)).toEqual(["call"]);
  expect(findMethod(fn, "call")).toBe(fn);
  for (const name of ["extra", "apply", "bind", "constructor", "name"]) expect(findMethod(fn, name)).toBeUndefined();
});
