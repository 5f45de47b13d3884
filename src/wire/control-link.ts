import { ProtocolError } from "../core/errors.ts";
import type { FormatTable } from "./codec/format.ts";
import { ByteReader } from "./codec/reader.ts";
import type { FrameHeader } from "./frame-reader.ts";
import { FrameType } from "./frames.ts";
import { Lane, type LaneOwner } from "./lane.ts";
import { type Preamble, writePreamble } from "./preamble.ts";
import type { Limits } from "./limits.ts";
import type { Transport } from "./transport.ts";

/** What the preamble of a guest has for the number of its connection. That of a replica has 0: one that comes too late is none. */
export const GUEST_CONNECTION = 1;

export interface ControlLinkOptions<TIn> {
  readonly formats: FormatTable;
  readonly limits: Limits;
  onMessage(message: TIn): void;
  /** Once, when the link is gone. */
  onClosed(error: Error | undefined): void;
}

/** A control connection between the controller and one replica: whole messages each way, in order. */
export class ControlLink<TOut, TIn> implements LaneOwner {
  readonly lane: Lane;
  readonly #options: ControlLinkOptions<TIn>;
  readonly #reader = new ByteReader(new Uint8Array(0), 0, 0);

  constructor(transport: Transport, options: ControlLinkOptions<TIn>) {
    this.#options = options;
    this.lane = new Lane(transport, options.limits, this);
  }

  /** For the side that connects: the first bytes. */
  introduce(preamble: Preamble): void {
    writePreamble(this.lane, preamble);
  }

  /** @throws {SerializationError} if the message cannot travel. */
  send(message: TOut): void {
    const { writer } = this.lane;
    const start = writer.begin(FrameType.CONTROL, 0, 0, 0);
    try {
      this.#options.formats.byName("structured").encode(message, writer.out, "result");
    } catch (error) {
      writer.out.at = start;
      throw error;
    }
    writer.end(start);
  }

  close(): void {
    this.lane.close();
  }

  onFrame(lane: Lane, header: FrameHeader, bytes: Uint8Array, start: number, end: number): void {
    this.#reader.reset(bytes, start, end, header.owned);
    if (header.type === FrameType.GOODBYE) {
      lane.farewell = this.#reader.utf8(end - start);
      return;
    }
    if (header.type !== FrameType.CONTROL)
      throw new ProtocolError(`A frame of type ${header.type} arrived on a control connection.`);
    this.#options.onMessage(this.#options.formats.byName("structured").decode(this.#reader) as TIn);
  }

  onLaneClosed(_lane: Lane, error: Error | undefined): void {
    this.#options.onClosed(error);
  }
}
