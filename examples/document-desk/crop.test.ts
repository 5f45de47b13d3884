import { expect, test } from "vitest";
import type { TextBox } from "./boxes.ts";
import { cutOut } from "./crop.ts";
import type { Raster } from "./picture.ts";

/** Each pixel holds its column, ten times its row, and 7. */
function picture(width: number, height: number): Raster {
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3);
    return [pixel % width, 10 * Math.floor(pixel / width), 7][i % 3]!;
  });
  return { pixels, width, height };
}

function band(left: number, thickness: number, centre: number[]): TextBox {
  return {
    left,
    top: 0,
    width: centre.length,
    height: thickness,
    score: 1,
    thickness,
    centre: Float32Array.from(centre),
  };
}

function rows({ pixels, width, height }: Raster): number[][] {
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => pixels[(y * width + x) * 3 + 1]!),
  );
}

test("lays a climbing band straight", () => {
  const crop = cutOut(picture(8, 8), band(2, 2, [2, 3, 4]));
  expect(crop).toMatchObject({ width: 3, height: 2 });
  expect(rows(crop)).toEqual([
    [10, 20, 30],
    [20, 30, 40],
  ]);
  expect([crop.pixels[0], crop.pixels[3], crop.pixels[6]]).toEqual([2, 3, 4]);
  expect(crop.pixels[2]).toBe(7);
});

test("mixes between two rows", () => {
  expect(rows(cutOut(picture(4, 8), band(0, 1, [3])))).toEqual([[25]]);
});

test("repeats the edge where the band leaves the picture", () => {
  expect(rows(cutOut(picture(4, 4), band(0, 6, [1])))).toEqual([[0], [0], [0], [10], [20], [30]]);
  expect(rows(cutOut(picture(4, 4), band(0, 4, [4])))).toEqual([[20], [30], [30], [30]]);
});
