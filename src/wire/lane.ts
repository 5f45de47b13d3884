import { HeliostatError, ProtocolError } from "../core/errors.ts";
import { type FrameHeader, FrameReader } from "./frame-reader.ts";
import type { Limits } from "./limits.ts";
import { SlabWriter } from "./slab-writer.ts";
import type { Transport, TransportReceiver } from "./transport.ts";

/** What a lane's owner does with what arrives. A thrown error ends the connection. */
export interface LaneOwner {
  onFrame(lane: Lane, header: FrameHeader, bytes: Uint8Array, start: number, end: number): void;
  /** A frame in memory of its own was read: not to hold on to it lets it serve again soon. */
  onFrameOver?(): void;
  /** Once: the lane is closed, or broken. */
  onLaneClosed(lane: Lane, error: Error | undefined): void;
}

/** One connection as a session uses it: frames in and out. */
export class Lane implements TransportReceiver {
  readonly transport: Transport;
  readonly writer: SlabWriter;
  /** Methods that were named on this lane, by number: announced ones on the caller's side, received ones on the replica's. */
  readonly methods: (string | undefined)[] = [];
  /** Microseconds for which the replica is asked to spin after a call of a method, by its number. */
  readonly spinUs: (number | undefined)[] = [];
  /** Why the other side ends the connection, if it has said so. */
  farewell: string | undefined = undefined;
  readonly #reader: FrameReader;
  readonly #owner: LaneOwner;
  #closed = false;

  constructor(transport: Transport, limits: Limits, owner: LaneOwner) {
    this.transport = transport;
    this.writer = new SlabWriter(transport);
    this.#owner = owner;
    this.#reader = new FrameReader(
      limits.maxFrameBytes,
      (header, bytes, start, end) => {
        owner.onFrame(this, header, bytes, start, end);
        if (header.owned) owner.onFrameOver?.();
      },
      transport.memory,
    );
  }

  get target(): Uint8Array | undefined {
    return this.#reader.target;
  }

  onTarget(length: number): void {
    if (this.#closed) return;
    try {
      this.#reader.advance(length);
    } catch (error) {
      this.#break(error);
    }
  }

  onBytes(bytes: Uint8Array, start: number, end: number, owned?: boolean): void {
    if (this.#closed) return;
    try {
      this.#reader.push(bytes, start, end, owned);
    } catch (error) {
      this.#break(error);
    }
  }

  onWritable(): void {
    this.writer.resume();
  }

  onClosed(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#owner.onLaneClosed(this, this.farewell === undefined ? error : farewellError(this.farewell));
    this.writer.stop();
  }

  /** Hands over what was written, then ends the connection. */
  close(): void {
    if (!this.#closed) this.writer.finish();
  }

  #break(thrown: unknown): void {
    const error = HeliostatError.isInstance(thrown)
      ? thrown
      : new ProtocolError(`Reading from the peer failed: ${String(thrown)}`, { cause: thrown });
    this.writer.goodbye(error.message);
    this.transport.destroy(error);
    this.onClosed(error);
  }
}

/** It is somebody else's text: shown, never trusted. */
const MAX_FAREWELL_CHARACTERS = 500;

function farewellError(text: string): ProtocolError {
  return new ProtocolError(`The other side has ended the connection: ${text.slice(0, MAX_FAREWELL_CHARACTERS)}`);
}
