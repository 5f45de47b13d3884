import { findBoxes, type TextBox } from "./boxes.ts";
import { cutOut } from "./crop.ts";
import { Model } from "./model.ts";
import { decodePicture, toPlanes, type Picture, type Raster } from "./picture.ts";
import { thisReplica, type Replica } from "./replica.ts";

/** Where a piece of text is, in pixels of the picture as it was given. */
export interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** One piece of text, cut out and laid straight: its pixels travel as binary. */
export interface Crop extends Raster {
  readonly box: Rectangle;
}

/** What a detector has found on one picture, in reading order, and how long each step took. */
export interface Found {
  readonly crops: Crop[];
  readonly decodeMs: number;
  readonly detectMs: number;
  readonly cutMs: number;
  readonly replica: Replica;
}

/** How a detector is made. Plain data, because it travels to the replica. */
export interface DetectorOptions {
  readonly modelPath: string;
  /** Smaller pictures are enlarged until their longer side has so many pixels. */
  readonly minSide: number;
  /** Larger pictures are reduced. */
  readonly maxSide: number;
}

/** Means and deviations of the pictures that the model was trained on. */
const mean = [0.485, 0.456, 0.406];
const deviation = [0.229, 0.224, 0.225];

/** The first model: finds where text is. */
export class Detector {
  readonly #model: Model;
  readonly #minSide: number;
  readonly #maxSide: number;

  constructor(model: Model, options: DetectorOptions) {
    this.#model = model;
    this.#minSide = options.minSide;
    this.#maxSide = options.maxSide;
  }

  /** Makes the instance of a replica: a constructor cannot wait for a model to load. */
  static async create(options: DetectorOptions): Promise<Detector> {
    return new Detector(await Model.load(options.modelPath), options);
  }

  /** @throws {PictureError} if the bytes are no picture. */
  async find(bytes: Uint8Array): Promise<Found> {
    const start = performance.now();
    const picture = await decodePicture(bytes, this.#minSide, this.#maxSide);
    const decoded = performance.now();
    const boxes = await this.#boxes(picture);
    const detected = performance.now();
    const crops = boxes.map((box) => ({ ...cutOut(picture, box), box: inFile(box, picture) }));
    return {
      crops,
      decodeMs: decoded - start,
      detectMs: detected - decoded,
      cutMs: performance.now() - detected,
      replica: thisReplica(),
    };
  }

  /** The destructor of a replica. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#model.release();
  }

  async #boxes(picture: Picture): Promise<TextBox[]> {
    const { width, height } = picture;
    const values = await this.#model.run(toPlanes(picture, mean, deviation), [1, 3, height, width]);
    return findBoxes({ values, width, height });
  }
}

function inFile(box: TextBox, { scaleX, scaleY }: Picture): Rectangle {
  return {
    left: Math.round(box.left / scaleX),
    top: Math.round(box.top / scaleY),
    width: Math.round(box.width / scaleX),
    height: Math.round(box.height / scaleY),
  };
}
