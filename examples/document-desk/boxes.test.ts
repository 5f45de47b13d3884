import { describe, expect, test } from "vitest";
import { findBoxes, inReadingOrder, type ProbabilityMap, type TextBox } from "./boxes.ts";

/** A map from a drawing: `#` is text, anything else is not. */
function drawn(
  width: number,
  height: number,
  isText: (x: number, y: number) => boolean,
  probability = 0.9,
): ProbabilityMap {
  const values = Float32Array.from({ length: width * height }, (_, i) =>
    isText(i % width, Math.floor(i / width)) ? probability : 0.01,
  );
  return { values, width, height };
}

function box(left: number, y: number, width: number, thickness = 10, climb = 0): TextBox {
  const centre = Float32Array.from({ length: width }, (_, x) => y + (climb * x) / width);
  return { left, top: y - thickness / 2, width, height: thickness, score: 1, thickness, centre };
}

describe("findBoxes", () => {
  test("gives back the margin that the model leaves out, on every side", () => {
    const map = drawn(200, 60, (x, y) => x >= 50 && x < 150 && y >= 25 && y < 35);
    const [found, ...others] = findBoxes(map, { pixelThreshold: 0.3, boxThreshold: 0.6, unclipRatio: 1.5, minCore: 3 });

    expect(others).toEqual([]);
    // 1000 pixels × 1.5 / a perimeter of 220 = 6.8
    expect(found).toMatchObject({ left: 43, width: 114 });
    expect(found!.thickness).toBeCloseTo(23.6, 1);
    expect(found!.top).toBeCloseTo(30 - 11.8, 1);
    expect(found!.height).toBeCloseTo(23.6, 1);
    expect(found!.score).toBeCloseTo(0.9, 5);
  });

  test("follows a line that climbs, also beyond its ends", () => {
    const line = (x: number) => 30 + x / 10;
    const map = drawn(300, 90, (x, y) => x >= 40 && x < 260 && Math.abs(y + 0.5 - line(x)) <= 5);
    const [found] = findBoxes(map);

    for (const [i, y] of found!.centre.entries()) expect(Math.abs(y - line(found!.left + i))).toBeLessThan(1);
    expect(found!.centre).toHaveLength(found!.width);
  });

  test("keeps lines apart that do not touch, and joins what touches only at a corner", () => {
    const map = drawn(100, 60, (x, y) => (x < 50 && y < 10) || (x >= 50 && y >= 10 && y < 20) || (y >= 40 && y < 50));
    expect(findBoxes(map)).toHaveLength(2);
  });

  test("does not join the right edge with the left edge of the next row", () => {
    const map = drawn(60, 40, (x, y) => (x >= 50 && y < 20) || (x < 10 && y >= 20));
    expect(findBoxes(map)).toHaveLength(2);
  });

  test("leaves out what is thin or doubtful", () => {
    expect(findBoxes(drawn(100, 40, (_, y) => y >= 20 && y < 22))).toEqual([]);
    expect(findBoxes(drawn(100, 40, (_, y) => y >= 10 && y < 30, 0.5))).toEqual([]);
    expect(findBoxes(drawn(100, 40, () => false))).toEqual([]);
  });

  test("stays inside the map", () => {
    const [found] = findBoxes(drawn(64, 32, () => true));
    expect(found).toMatchObject({ left: 0, width: 64, top: 0, height: 32 });
  });
});

describe("inReadingOrder", () => {
  test("goes from top to bottom, and within a row from left to right", () => {
    const [a, b, c, d] = [box(0, 20, 80), box(100, 22, 80), box(0, 50, 80), box(100, 48, 80)];
    expect(inReadingOrder([d, b, c, a])).toEqual([a, b, c, d]);
  });

  test("follows a tilted row further than a line's height", () => {
    const first = box(0, 20, 100, 10, 12);
    const second = box(110, 33, 100, 10, 12);
    const below = box(0, 38, 100, 10, 12);
    expect(inReadingOrder([below, second, first])).toEqual([first, second, below]);
  });

  test("puts boxes one above the other into rows of their own", () => {
    const upper = box(0, 20, 100);
    const lower = box(5, 23, 100);
    expect(inReadingOrder([lower, upper])).toEqual([upper, lower]);
  });
});
