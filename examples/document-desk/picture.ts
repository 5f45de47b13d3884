import sharp from "sharp";

/** A rectangle of pixels, three bytes each: red, green, blue. */
export interface Raster {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** A picture as the detection model wants it, and how to get from its coordinates back to those of the file. */
export interface Picture extends Raster {
  readonly scaleX: number;
  readonly scaleY: number;
}

/** The bytes are no picture that can be read. It keeps its name on the way from a replica to the caller. */
export class PictureError extends Error {
  override readonly name = "PictureError";
}

/** The model halves the sides five times. */
const sideUnit = 32;

/**
 * Decodes a picture of any format that sharp reads, upright and on white, with sides that the detection model takes.
 *
 * Small pictures are enlarged until their longer side has `minSide` pixels: the model needs letters of some ten pixels.
 * Large ones are reduced to `maxSide`, to bound the work.
 *
 * @throws {PictureError}
 */
export async function decodePicture(bytes: Uint8Array, minSide: number, maxSide: number): Promise<Picture> {
  if (bytes.length === 0) throw new PictureError("The picture cannot be read: it is empty.");
  try {
    const source = sharp(bytes, { failOn: "error" });
    const { autoOrient } = await source.metadata();
    const longer = Math.max(autoOrient.width, autoOrient.height);
    const scale = Math.min(Math.max(longer, minSide), maxSide) / longer;
    const width = toSide(autoOrient.width * scale);
    const height = toSide(autoOrient.height * scale);
    const pixels = await source
      .autoOrient()
      .flatten({ background: "white" })
      .toColourspace("srgb")
      .resize(width, height, { fit: "fill", kernel: "lanczos3" })
      .raw({ depth: "uchar" })
      .toBuffer();
    return { pixels, width, height, scaleX: width / autoOrient.width, scaleY: height / autoOrient.height };
  } catch (error) {
    throw new PictureError(`The picture cannot be read: ${reason(error)}.`, { cause: error });
  }
}

/**
 * The numbers that a model computes with: one plane for each colour, each value shifted by `mean` and divided by `deviation`
 * (of colours from 0 to 1). Planes go blue, green, red, as both models were trained.
 */
export function toPlanes(raster: Raster, mean: readonly number[], deviation: readonly number[]): Float32Array {
  const area = raster.width * raster.height;
  const planes = new Float32Array(3 * area);
  for (let plane = 0; plane < 3; plane++) {
    const factor = 1 / (255 * deviation[plane]!);
    const shift = mean[plane]! / deviation[plane]!;
    for (let i = 0; i < area; i++) planes[plane * area + i] = raster.pixels[3 * i + 2 - plane]! * factor - shift;
  }
  return planes;
}

function toSide(length: number): number {
  return Math.max(1, Math.round(length / sideUnit)) * sideUnit;
}

/** sharp's messages may have several lines, of which the first says it. */
function reason(error: unknown): string {
  const [first = ""] = String(error instanceof Error ? error.message : error).split("\n");
  return first.replace(/\.$/, "");
}
