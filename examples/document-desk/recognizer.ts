import { readFile } from "node:fs/promises";
import sharp from "sharp";
import { decodeText, type Reading } from "./ctc.ts";
import { Model } from "./model.ts";
import { toPlanes, type Raster } from "./picture.ts";
import { thisReplica, type Replica } from "./replica.ts";

/** The text of one crop, how long reading it took, and where it was read. */
export interface Recognized extends Reading {
  readonly recognizeMs: number;
  readonly replica: Replica;
}

/** How a recognizer is made. Plain data, because it travels to the replica. */
export interface RecognizerOptions {
  readonly modelPath: string;
  /** A text file with one character a line, in the order of the model's outputs. */
  readonly dictionaryPath: string;
}

/** The model reads strips of this height, of any width from `minWidth` on. */
const stripHeight = 48;
const minWidth = 48;
const mean = [0.5, 0.5, 0.5];
const deviation = [0.5, 0.5, 0.5];

/** The second model: reads one line of text. */
export class Recognizer {
  readonly #model: Model;
  readonly #symbols: readonly string[];

  constructor(model: Model, symbols: readonly string[]) {
    this.#model = model;
    this.#symbols = symbols;
  }

  /** Makes the instance of a replica. */
  static async create({ modelPath, dictionaryPath }: RecognizerOptions): Promise<Recognizer> {
    const [model, dictionary] = await Promise.all([Model.load(modelPath), readFile(dictionaryPath, "utf8")]);
    // The outputs begin with the blank and end with the space, which the file leaves out.
    const symbols = ["", ...dictionary.replace(/\n$/, "").split("\n"), " "];
    return new Recognizer(model, symbols);
  }

  /** Reads one crop: its pixels, three bytes each. */
  async read(crop: Raster): Promise<Recognized> {
    const start = performance.now();
    const strip = await toStrip(crop);
    const shape = [1, 3, strip.height, strip.width];
    const probabilities = await this.#model.run(toPlanes(strip, mean, deviation), shape);
    const reading = decodeText(probabilities, this.#symbols);
    return { ...reading, recognizeMs: performance.now() - start, replica: thisReplica() };
  }

  /** The destructor of a replica. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#model.release();
  }
}

/** The crop at the model's height. A narrow one gets grey to its right, which reads as nothing. */
async function toStrip({ pixels, width, height }: Raster): Promise<Raster> {
  const stripWidth = Math.max(1, Math.round((width * stripHeight) / height));
  const strip = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .resize(stripWidth, stripHeight, { fit: "fill", kernel: "lanczos3" })
    .extend({ right: Math.max(0, minWidth - stripWidth), background: "#808080" })
    .raw()
    .toBuffer();
  return { pixels: strip, width: Math.max(stripWidth, minWidth), height: stripHeight };
}
