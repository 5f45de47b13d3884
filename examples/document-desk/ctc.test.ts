import { expect, test } from "vitest";
import { decodeText } from "./ctc.ts";

const symbols = ["", "a", "b", " "];

/** A row for each step, in which one symbol is likely and the others are not. */
function steps(...rows: [symbol: number, probability: number][]): Float32Array {
  return Float32Array.from(
    rows.flatMap(([symbol, probability]) => symbols.map((_, i) => (i === symbol ? probability : 0.01))),
  );
}

test("takes repeats once, and twice if a blank stands between them", () => {
  expect(decodeText(steps([1, 0.9], [1, 0.9], [0, 0.9], [1, 0.9], [2, 0.9], [3, 0.9], [1, 0.9]), symbols).text).toBe(
    "aab a",
  );
});

test("is as sure as the mean of its characters, blanks and repeats not counted", () => {
  const { confidence } = decodeText(steps([0, 0.99], [1, 0.8], [1, 0.3], [0, 0.99], [2, 0.6]), symbols);
  expect(confidence).toBeCloseTo(0.7, 5);
});

test("reads nothing from blanks, with no confidence", () => {
  expect(decodeText(steps([0, 0.99], [0, 0.99]), symbols)).toEqual({ text: "", confidence: 0 });
  expect(decodeText(new Float32Array(0), symbols)).toEqual({ text: "", confidence: 0 });
});
