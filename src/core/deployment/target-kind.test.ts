import { describe, expect, test } from "vitest";
import { construct } from "../replica/instance.ts";
import { callableMethods } from "../replica/methods.ts";
import { kindOf } from "./target-kind.ts";

class Model {
  readonly #name: string;
  constructor(name: string) {
    this.#name = name;
  }
  call(): string {
    return this.#name;
  }
}

/** Written as before there were classes; its text must not be what the types make of it. */
const old = (text: string): Function => new Function(`${text}; return Model;`)() as Function;
const withMethods = old(
  "function Model(name) { this.name = name } Model.prototype.call = function () { return this.name }",
);
const withParent = old(
  "function Base() {} Base.prototype.call = function () { return this.name }; function Model(name) { this.name = name } Model.prototype = Object.create(Base.prototype)",
);

describe("a class", () => {
  test.each<[string, Function]>([
    ["as written", Model],
    ["behind a proxy", new Proxy(Model, {})],
    [
      "behind a proxy that makes its instances",
      new Proxy(Model, { construct: (target, [name]) => new target(`${name as string}`) }),
    ],
    ["behind two proxies", new Proxy(new Proxy(Model, {}), {})],
    ["that extends one behind a proxy", class extends (new Proxy(Model, {}) as typeof Model) {}],
    ["of before there were classes, with methods", withMethods],
    ["of before there were classes, with a parent", withParent],
    ["of before there were classes, behind a proxy", new Proxy(withMethods, {})],
  ])("%s is deployed as one, whole", async (_, target) => {
    expect(kindOf(target)).toBe("class");
    const made = (await construct(target, "class", ["a"])) as Model;
    expect(made.call()).toBe("a");
    expect(callableMethods(made)).toContain("call");
  });

  test("of Node's own is one", () => {
    expect(kindOf(Map)).toBe("class");
  });
});

describe("a function", () => {
  test.each<[string, Function]>([
    ["as written", function double() {}],
    ["with a capital", function Double() {}],
    ["that reads this", old("function Model() { return this.x === 1 || this.y == 2 }")],
    ["that is an arrow", () => 1],
    ["that is async", async () => 1],
    ["that is a generator", function* items() {}],
    ["that is an async generator", async function* items() {}],
    ["that is bound", function double() {}.bind(undefined)],
    ["behind a proxy", new Proxy(function double() {}, {})],
    ["that is frozen", Object.freeze(function double() {})],
    ["that is a method", { run() {} }.run],
  ])("%s is deployed as one", (_, target) => {
    expect(kindOf(target)).toBe("function");
  });
});

describe("refused, with what to do:", () => {
  const everything = new Proxy(class Model {}, { get: () => () => 1 });
  class Thenable {
    then(): void {}
  }
  test.each<[string, Function, string]>([
    ["a class with a method then", Thenable, 'has a method "then"'],
    ["one that inherits it", class Query extends Thenable {}, 'has a method "then"'],
    ["a class of promises", class Later extends Promise<void> {}, 'has a method "then"'],
    ["one of before there were classes", old("function Model() {} Model.prototype.then = function () {}"), '"then"'],
    [
      "a class with a static then",
      class Model {
        static then(): void {}
      },
      'a static "then"',
    ],
    ["a class behind a proxy that answers to any name", everything, 'a static "then"'],
    ["a function with a then", Object.assign(function model() {}, { then() {} }), '"then"'],
    ["a constructor without methods", old("function Model(name) { this.name = name }"), "Write class Model { … }"],
    ["one with computed members", old("function Model(name) { this[name] = () => name }"), "Write class Model { … }"],
  ])("%s", (_, target, message) => {
    expect(() => kindOf(target)).toThrow(expect.objectContaining({ name: "ConfigError", path: "target" }));
    expect(() => kindOf(target)).toThrow(message);
  });
});

describe("an instance that await would take for a promise fails, and is not waited for:", () => {
  test.each<[string, Function]>([
    [
      "by a field",
      class Model {
        then = (): void => {};
      },
    ],
    [
      "by a getter",
      class Model {
        get then(): () => void {
          return () => {};
        }
      },
    ],
    [
      "by a proxy that answers to any name",
      class Model {
        constructor() {
          return new Proxy(this, { get: () => () => {} });
        }
      },
    ],
    [
      "from create",
      class Model {
        then = (): void => {};
        static create(): Model {
          return new Model();
        }
      },
    ],
  ])("%s", async (_, target) => {
    expect(kindOf(target)).toBe("class");
    await expect(construct(target, "class", [])).rejects.toThrow('has a member "then"');
  });

  test("but a constructor or create that gives a promise is", async () => {
    class Later {
      constructor() {
        return Promise.resolve(new Model("late")) as unknown as Later;
      }
    }
    class Created {
      static create(): PromiseLike<Model> {
        return { then: (resolve: (model: Model) => unknown) => resolve(new Model("created")) } as never;
      }
    }
    expect(((await construct(Later, "class", [])) as Model).call()).toBe("late");
    expect(((await construct(Created, "class", [])) as Model).call()).toBe("created");
  });
});
