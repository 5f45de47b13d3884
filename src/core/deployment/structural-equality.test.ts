import { expect, test } from "vitest";
import { HandleReference } from "./spec.ts";
import { structurallyEqual } from "./structural-equality.ts";

class Point {
  x = 1;
}
function cycle() {
  const node: { name: string; self?: unknown } = { name: "a" };
  node.self = node;
  return node;
}
const fn = () => 1;

test.each([
  ["numbers", 1, 1],
  ["NaN", NaN, NaN],
  ["nested plain data", { a: [1, { b: "x" }] }, { a: [1, { b: "x" }] }],
  ["keys in another order", { a: 1, b: 2 }, { b: 2, a: 1 }],
  ["dates", new Date(5), new Date(5)],
  ["bytes", new Uint8Array([1, 2]), new Uint8Array([1, 2])],
  ["bytes of views into different buffers", new Uint8Array([0, 1, 2]).subarray(1), new Uint8Array([1, 2])],
  ["maps", new Map([["a", { b: 1 }]]), new Map([["a", { b: 1 }]])],
  ["sets", new Set([1, 2]), new Set([1, 2])],
  ["regular expressions", /a/g, /a/g],
  ["errors", new Error("x", { cause: 1 }), new Error("x", { cause: 1 })],
  ["handle references", new HandleReference("a", "b"), new HandleReference("a", "b")],
  ["cycles", cycle(), cycle()],
  ["one function", { fn }, { fn }],
])("finds %s equal", (_, left, right) => {
  expect(structurallyEqual(left, right)).toBe(true);
});

test.each([
  ["0 and -0", 0, -0],
  ["undefined and a missing key", { a: undefined }, {}],
  ["undefined under different keys", { a: undefined }, { b: undefined }],
  ["lengths of sparse arrays", new Array(2), new Array(1)],
  ["dates", new Date(5), new Date(6)],
  ["bytes", new Uint8Array([1, 2]), new Uint8Array([1, 3])],
  ["kinds of typed arrays", new Uint8Array([1]), new Int8Array([1])],
  ["lengths of bytes", new Uint8Array([1]), new Uint8Array([1, 0])],
  ["map values", new Map([["a", 1]]), new Map([["a", 2]])],
  ["sets", new Set([1]), new Set([2])],
  ["regular expressions", /a/g, /a/],
  ["error causes", new Error("x", { cause: 1 }), new Error("x", { cause: 2 })],
  ["handle references", new HandleReference("a", "b"), new HandleReference("a", "c")],
  ["classes with the same fields", new Point(), { x: 1 }],
  ["functions with the same text", () => 1, () => 1],
  ["null and an object", null, {}],
])("tells %s apart", (_, left, right) => {
  expect(structurallyEqual(left, right)).toBe(false);
  expect(structurallyEqual(right, left)).toBe(false);
});
