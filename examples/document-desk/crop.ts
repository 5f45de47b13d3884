import type { TextBox } from "./boxes.ts";
import type { Raster } from "./picture.ts";

/**
 * Cuts the text of one box out of a picture and lays it straight: each column is taken from round the centre line.
 *
 * Where the band leaves the picture, the picture's edge is repeated.
 */
export function cutOut(picture: Raster, box: TextBox): Raster {
  const width = box.width;
  const height = Math.max(1, Math.round(box.thickness));
  const pixels = new Uint8Array(width * height * 3);
  for (let x = 0; x < width; x++) {
    const top = box.centre[x]! - height / 2;
    for (let y = 0; y < height; y++) copyPixel(picture, box.left + x, top + y, pixels, (y * width + x) * 3);
  }
  return { pixels, width, height };
}

/** Between two rows of the source the colour is mixed, or letters would get steps where the line climbs. */
function copyPixel(source: Raster, x: number, y: number, into: Uint8Array, at: number): void {
  const inside = Math.min(Math.max(y, 0), source.height - 1);
  const upperRow = Math.floor(inside);
  const lowerRow = Math.min(upperRow + 1, source.height - 1);
  const share = inside - upperRow;
  const upper = (upperRow * source.width + x) * 3;
  const lower = (lowerRow * source.width + x) * 3;
  for (let colour = 0; colour < 3; colour++) {
    into[at + colour] = Math.round(
      source.pixels[upper + colour]! * (1 - share) + source.pixels[lower + colour]! * share,
    );
  }
}
