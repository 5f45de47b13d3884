import { describe, expect, test } from "vitest";
import type { CodeReference } from "../router/snapshot.ts";
import type { CodePlace } from "./code-site.ts";
import { Definitions } from "./definitions.ts";

const module = "file:///app.ts";
const onTop: CodePlace = { position: "1:1", isOrdered: true, isFirst: true };
const afterAwait: CodePlace = { position: "1:1", isOrdered: true, isFirst: false };
const inAsync: CodePlace = { position: "1:1", isOrdered: false, isFirst: false };

const make = (): Definitions => new Definitions({ callerModule: () => module, place: () => onTop });

test("finds what was registered, by module, name and order", () => {
  const definitions = make();
  const first = class Model {};
  const second = class Model {};
  const elsewhere = class Model {};
  const mark = expect.any(String) as string;
  const place = onTop;
  const references = [first, second].map((target) => definitions.register({ module, name: "Model", target, place }));
  expect(references).toEqual([
    { module, name: "Model", ordinal: 0, mark },
    { module, name: "Model", ordinal: 1, mark },
  ]);
  expect(definitions.register({ module: "file:///b.ts", name: "Model", target: elsewhere }).ordinal).toBe(0);
  expect(references.map((reference) => definitions.find(reference))).toEqual([first, second]);
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

/** What a replica, which has defined `there` in this order, finds for each of what the driver has defined in its own. */
describe("in another process", () => {
  interface Made {
    /** Which of the driver's it really is. */
    readonly id: string;
    readonly text?: string;
    readonly as?: string;
    readonly place?: CodePlace;
  }

  const define = (definitions: Definitions, { id, text = "", as, place }: Made): [CodeReference, Function] => {
    const target = new Function(`return class Model { ${text} }`)() as Function & { id?: string };
    Object.defineProperty(target, "id", { value: id });
    return [definitions.register({ module, name: "Model", target, as, place }), target];
  };

  const found = (here: readonly Made[], there: readonly Made[], how: "find" | "certain" = "find"): unknown[] => {
    const driver = make();
    const references = here.map((each) => define(driver, each)[0]);
    for (const reference of references) expect(driver.own(reference)).toBeDefined();
    const replica = make();
    for (const each of there) define(replica, each);
    return references.map((reference) => (replica[how](reference) as { id?: string } | undefined)?.id);
  };

  test.each<[string, readonly Made[]]>([
    [
      "texts",
      [
        { id: "a", text: "a() {}", place: inAsync },
        { id: "b", text: "b() {}", place: inAsync },
      ],
    ],
    [
      "names that they were given",
      [
        { id: "a", as: "a", place: inAsync },
        { id: "b", as: "b", place: inAsync },
      ],
    ],
    [
      "places",
      [
        { id: "a", place: { ...inAsync, position: "1:1" } },
        { id: "b", place: { ...inAsync, position: "2:1" } },
      ],
    ],
  ])("definitions that come in another order are told apart by their %s", (_, made) => {
    expect(found(made, made.toReversed())).toEqual(["a", "b"]);
    // One that is missing is not the other.
    expect(found(made, made.slice(1))).toEqual([undefined, "b"]);
    // Before all is loaded, there may be another one of the kind still to come.
    expect(found(made, made.toReversed(), "certain")).toEqual([undefined, undefined]);
  });

  test("one thing that is used twice is found by either, whichever comes first", () => {
    const driver = make();
    const replica = make();
    const target = class Model {};
    const again = class Model {};
    const use = (definitions: Definitions, as: string, model: Function): CodeReference =>
      definitions.register({ module, name: "Model", target: model, as, place: inAsync });
    const references = ["a", "b"].map((as) => use(driver, as, target));
    expect(references[0]).toBe(references[1]);
    use(replica, "b", again);
    expect(replica.find(references[0]!)).toBeUndefined();
    use(replica, "a", again);
    expect(replica.find(references[0]!)).toBe(again);
  });

  test("what cannot be told apart is not found if async functions have defined it", () => {
    const made = [
      { id: "a", place: inAsync },
      { id: "b", place: inAsync },
    ];
    expect(found(made, made.toReversed())).toEqual([undefined, undefined]);
    expect(found(made, made)).toEqual([undefined, undefined]);
  });

  test.each([onTop, afterAwait])("what the module's own code has defined is told apart by its order", (place) => {
    const made = ["a", "b"].map((id) => ({ id, place }));
    expect(found(made, made)).toEqual(["a", "b"]);
    expect(found(made, made.slice(0, 1), "certain")).toEqual(["a", undefined]);
  });

  test("where the texts are others, the order of the module's own code counts", () => {
    // As of a driver whose modules a test runner has rewritten.
    const here = ["a", "b"].map((id) => ({ id, text: "/* rewritten */", place: inAsync }));
    const there = (place: CodePlace): Made[] => ["a", "b"].map((id) => ({ id, text: `${id}() {}`, place }));
    expect(found(here, there(onTop), "certain")).toEqual(["a", "b"]);
    expect(found(here, there(afterAwait), "certain")).toEqual([undefined, undefined]);
    expect(found(here, there(afterAwait))).toEqual(["a", "b"]);
    expect(found(here, there(inAsync))).toEqual([undefined, undefined]);
  });
});
