import { describe, expect, test } from "vitest";
import { ConfigError } from "../errors.ts";
import { buildApplication } from "./application.ts";
import { deployment } from "./deployment.ts";
import { HandleReference, type ApplicationSpec } from "./spec.ts";

class Leaf {}
class Node {
  readonly args: unknown[];
  constructor(...args: any[]) {
    this.args = args;
  }
}
const build = (app: unknown): ApplicationSpec => buildApplication(app, { name: "app", routePrefix: "/" });
const leaf = deployment(Leaf);
const node = deployment(Node);
const names = (spec: ApplicationSpec): string[] => spec.deployments.map(({ name }) => name);
const refusedBy = (app: unknown): ConfigError => {
  try {
    build(app);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("accepted");
};

test("lists callees first and gives handles for them", () => {
  const spec = build(node.options({ name: "Ingress" }).bind(node.options({ name: "Middle" }).bind(leaf.bind()), 3));
  expect(names(spec)).toEqual(["Leaf", "Middle", "Ingress"]);
  expect(spec).toMatchObject({ name: "app", routePrefix: "/", ingress: "Ingress" });
  expect(spec.deployments.map(({ initArgs }) => initArgs)).toEqual([
    [],
    [new HandleReference("app", "Leaf")],
    [new HandleReference("app", "Middle"), 3],
  ]);
});

test("carries kind, code, target and options", () => {
  const [spec] = build(leaf.options({ name: "L", numReplicas: 2 }).bind()).deployments;
  expect(spec).toMatchObject({
    name: "L",
    kind: "class",
    target: Leaf,
    code: { module: import.meta.url, name: "Leaf" },
  });
  expect(spec!.options.numReplicas).toBe(2);
});

test("finds applications nested in arrays and plain objects, and changes nothing else", () => {
  const instance = new Leaf();
  const map = new Map([["a", 1]]);
  const given = { list: [1, [leaf.bind()]], instance, map, nothing: undefined };
  const spec = build(node.bind(given));
  const [args] = spec.deployments.at(-1)!.initArgs as [typeof given];
  expect(args).toEqual({ list: [1, [new HandleReference("app", "Leaf")]], instance, map, nothing: undefined });
  expect(args.instance).toBe(instance);
  expect(args.map).toBe(map);
  expect(given.list[1]).not.toEqual([new HandleReference("app", "Leaf")]);
});

test("leaves arguments without applications as they are", () => {
  const given = { deep: [1, 2] };
  expect(build(node.bind(given)).deployments[0]!.initArgs[0]).toBe(given);
});

test("keeps shared and cyclic values shared and cyclic", () => {
  const shared: unknown[] = [1];
  const cyclic: { self?: unknown; shared: unknown; app: unknown } = { shared, app: leaf.bind() };
  cyclic.self = cyclic;
  const [first, second] = build(node.bind(cyclic, shared)).deployments.at(-1)!.initArgs as [typeof cyclic, unknown[]];
  expect(first.self).toBe(first);
  expect(first.shared).toBe(second);
  expect(first.app).toEqual(new HandleReference("app", "Leaf"));
});

test("an own key __proto__ is a key", () => {
  const given = JSON.parse('{"__proto__": {"x": 1}}') as Record<string, unknown>;
  given["app"] = leaf.bind();
  const [args] = build(node.bind(given)).deployments.at(-1)!.initArgs as [object];
  expect(Object.getPrototypeOf(args)).toBe(Object.prototype);
  expect(Object.keys(args)).toEqual(["__proto__", "app"]);
});

test("does not look into values too deep to be sent", () => {
  let deep: unknown = 1;
  for (let i = 0; i < 50_000; i++) deep = [deep];
  expect(build(node.bind(deep)).deployments[0]!.initArgs[0]).toBe(deep);
});

describe("names", () => {
  test("one application bound twice is one deployment", () => {
    const shared = leaf.bind();
    const spec = build(
      node.bind(node.options({ name: "A" }).bind(shared), node.options({ name: "B" }).bind(shared), shared),
    );
    expect(names(spec)).toEqual(["Leaf", "A", "B", "Node"]);
  });

  test("two of one name are told apart by a suffix, and the ingress keeps its own", () => {
    const spec = build(node.bind(node.bind(), [node.bind()]));
    expect(spec.ingress).toBe("Node");
    expect(names(spec)).toEqual(["Node_1", "Node_2", "Node"]);
  });

  test("a suffix avoids names in use", () => {
    const spec = build(node.bind(leaf.options({ name: "Leaf_1" }).bind(), leaf.bind(), leaf.bind()));
    expect(names(spec)).toEqual(["Leaf_1", "Leaf", "Leaf_2", "Node"]);
  });
});

describe("refuses", () => {
  test.each([
    ["a class", Leaf, "Write serve.run(deployment(Leaf).bind(…))"],
    ["a function", function double() {}, "Write serve.run(deployment(double).bind(…))"],
    ["a deployment", leaf, "Write serve.run(Leaf.bind(…))"],
    ["a promise", Promise.resolve(leaf.bind()), "Write serve.run(await app)"],
    ["nothing", undefined, "not undefined"],
    ["an object", {}, "not an object"],
  ])("%s instead of an application", (_, app, message) => {
    expect(refusedBy(app).message).toContain(message);
  });

  test("a deployment or a class among the arguments, with its place", () => {
    const unbound = refusedBy(node.bind(1, { parts: [leaf] }));
    expect(unbound.path).toBe("args[1].parts[0]");
    expect(unbound.message).toContain(".bind(…)");
    expect(refusedBy(node.bind(Leaf)).message).toContain("deployment(Leaf).bind(…)");
  });

  test("a deployment bound to itself through an array", () => {
    const list: unknown[] = [];
    const app = node.bind(list);
    list.push(app);
    expect(refusedBy(app).message).toContain("bound to itself");
  });

  test.each([
    ["", "/", "name"],
    ["a#b", "/", "name"],
    ["a", "x", "routePrefix"],
    ["a", "/x/", "routePrefix"],
    ["a", "", "routePrefix"],
  ])("name %j with prefix %j", (name, routePrefix, path) => {
    expect(() => buildApplication(leaf.bind(), { name, routePrefix })).toThrow(expect.objectContaining({ path }));
  });

  test("no route is fine", () => {
    expect(buildApplication(leaf.bind(), { name: "a", routePrefix: null }).routePrefix).toBeNull();
  });
});
