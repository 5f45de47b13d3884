import { toError } from "../error-text.ts";
import type { IncomingExchange } from "./incoming-exchange.ts";

/** The part of a byte stream's controller that is used here. */
type Controller = Pick<ReadableByteStreamController, "enqueue" | "close" | "error" | "byobRequest">;

/**
 * The body of a request that comes in parts, as a web stream.
 *
 * Parts wait here until somebody reads: what was read makes room for as much, so that a reader who is slow, or reads
 * nothing, holds back the client. A reader who cancels lets the rest be dropped.
 */
export class RequestBody {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #exchange: IncomingExchange;
  readonly #parts: { readonly data: Uint8Array; readonly bytes: number }[] = [];
  #controller!: Controller;
  #isWanted = false;
  #isWhole = false;
  #isOver = false;

  constructor(exchange: IncomingExchange) {
    this.#exchange = exchange;
    this.stream = new ReadableStream(
      {
        type: "bytes",
        start: (controller) => {
          this.#controller = controller as Controller;
        },
        pull: () => {
          this.#isWanted = true;
          this.#give();
        },
        cancel: () => this.#end(),
      },
      { highWaterMark: 0 },
    ) as ReadableStream<Uint8Array>;
    exchange.onPart = (part) => {
      if ("close" in part) this.#isWhole = true;
      // A stream of bytes has no empty chunks.
      else if (part.data.length === 0) exchange.allow(part.bytes);
      else this.#parts.push(part as { data: Uint8Array; bytes: number });
      if (this.#isWanted) this.#give();
    };
  }

  /** The request is over, or has ended early: whoever still reads gets the error. */
  fail(error: () => Error): void {
    if (this.#isOver) return;
    this.#end();
    this.#controller.error(error());
  }

  /** Nothing is kept and nothing comes any more. */
  #end(): void {
    this.#isOver = true;
    this.#parts.length = 0;
    this.#exchange.onPart = undefined;
  }

  #give(): void {
    try {
      this.#giveNext();
    } catch (error) {
      // A reader may ask in a way in which the bytes cannot be given: for whole 16-bit numbers out of an odd number of bytes.
      this.#end();
      this.#controller.error(toError(error));
    }
  }

  #giveNext(): void {
    const part = this.#parts.shift();
    if (part !== undefined) {
      this.#isWanted = false;
      this.#controller.enqueue(part.data as Uint8Array<ArrayBuffer>);
      this.#exchange.allow(part.bytes);
    } else if (this.#isWhole) {
      this.#end();
      this.#controller.close();
      this.#controller.byobRequest?.respond(0);
    }
  }
}
