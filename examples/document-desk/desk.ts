import type { DeploymentHandle } from "heliostat";
import type { Detector, Found, Rectangle } from "./detector.ts";
import type { Recognized, Recognizer } from "./recognizer.ts";

/** One line of the picture. */
export interface Line extends Recognized {
  readonly box: Rectangle;
}

/** What happens while a picture is read: first the text is found, then each line is read, in reading order. */
export type DeskEvent =
  | { readonly kind: "found"; readonly pieces: number; readonly bytes: number; readonly work: Omit<Found, "crops"> }
  | { readonly kind: "line"; readonly line: Line };

/** How a desk works. */
export interface DeskOptions {
  /** What is read with less confidence is no text but a fold or a stain. */
  readonly minConfidence: number;
}

/** The ingress: composes the two models. It holds no model itself, only handles to where they run. */
export class Desk {
  readonly #detector: DeploymentHandle<Detector>;
  readonly #recognizer: DeploymentHandle<Recognizer>;
  readonly #minConfidence: number;

  constructor(
    detector: DeploymentHandle<Detector>,
    recognizer: DeploymentHandle<Recognizer>,
    { minConfidence }: DeskOptions,
  ) {
    this.#detector = detector;
    this.#recognizer = recognizer;
    this.#minConfidence = minConfidence;
  }

  /** The same over HTTP: a picture comes in, and its lines go out as text, each as soon as it is read. */
  async fetch(request: Request): Promise<Response> {
    if (request.method !== "PUT" && request.method !== "POST") {
      const usage = `Send a picture: curl -T picture.png ${request.url}\n`;
      return new Response(usage, { status: 405, headers: { allow: "PUT, POST" } });
    }
    const events = this.read(await request.bytes());
    try {
      // The first event says that it is a picture; after it nothing can be said but in the text itself.
      await events.next();
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "PictureError") throw error;
      return new Response(`${error.message}\n`, { status: 415 });
    }
    return new Response(textOf(events) as unknown as ReadableStream, {
      headers: { "content-type": "text/plain; charset=utf-8" },
    });
  }

  /**
   * Reads a picture and yields its lines, each as soon as it and those before it are read.
   *
   * Whoever stops listening stops the work: calls made here end with the request that they serve.
   */
  async *read(picture: Uint8Array): AsyncGenerator<DeskEvent> {
    const { crops, ...work } = await this.#detector.find.remote(picture);
    const bytes = crops.reduce((sum, { pixels }) => sum + pixels.length, 0);
    yield { kind: "found", pieces: crops.length, bytes, work };

    // All are sent at once and spread over the replicas; only the order of the answers is kept.
    const readings = crops.map(({ pixels, width, height }) => this.#recognizer.read.remote({ pixels, width, height }));
    for (const [i, reading] of readings.entries()) {
      const recognized = await reading;
      if (recognized.text.trim() === "" || recognized.confidence < this.#minConfidence) continue;
      yield { kind: "line", line: { ...recognized, box: crops[i]!.box } };
    }
  }
}

async function* textOf(events: AsyncIterable<DeskEvent>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const event of events) if (event.kind === "line") yield encoder.encode(`${event.line.text}\n`);
}
