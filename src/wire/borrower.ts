import type { Clock } from "../core/contracts/clock.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Format } from "./codec/format.ts";
import type { ByteReader } from "./codec/reader.ts";
import type { BinarySource, RegionReference } from "./codec/shared-binary.ts";
import { SHARED_BYTES } from "./codec/tags.ts";
import { FrameType } from "./frames.ts";
import type { SendFrame } from "./loans.ts";
import { referencesIn } from "./shared-body.ts";
import type { RemoteMemory } from "./shared-memory.ts";
import type { Sharing } from "./sharing.ts";

export interface BorrowerOptions {
  readonly sharing: Sharing;
  readonly clock: Clock;
  /** How much one message may hold, and so refer to. */
  readonly maxMessageBytes: number;
  readonly send: SendFrame;
}

/** What one side of a connection has borrowed from the other. It is returned when nobody can reach it any more. */
export class Borrower implements BinarySource {
  readonly #options: BorrowerOptions;
  #remote: RemoteMemory | undefined = undefined;
  #isOfferSeen = false;
  /** What the message refers to that is being read. */
  #borrowedBytes = 0;
  #returns: number[] = [];
  #failure: Error | undefined = undefined;
  #isClosed = false;

  constructor(options: BorrowerOptions) {
    this.#options = options;
  }

  begin(): void {
    this.#borrowedBytes = 0;
  }

  give(region: RegionReference, isExact: boolean): ArrayBuffer {
    try {
      return this.#map(region, isExact);
    } catch (error) {
      this.#failure ??= error as Error;
      throw error;
    }
  }

  /** A reference that leads nowhere is no fault of the call whose arguments it stands in: the peer is not to be trusted. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** How many bytes the last message has referred to; asked once for each message. */
  borrowedBytes(): number {
    const bytes = this.#borrowedBytes;
    if (bytes > 0) this.#borrowedBytes = 0;
    return bytes;
  }

  /** Gives back what a message refers to that nobody is going to read. */
  discard(reader: ByteReader, format: Format, isArgs: boolean): void {
    for (const { id } of referencesIn(reader, format, isArgs)) {
      if (this.#remote === undefined) throw notBorrowed();
      this.#return(id);
    }
  }

  /** The other side says where its memory is. */
  onLend(offer: Uint8Array): void {
    if (this.#isOfferSeen) throw new ProtocolError("The peer has offered memory twice.");
    this.#isOfferSeen = true;
    this.#options.sharing.whenOpen((memory) => {
      if (this.#isClosed) return;
      this.#remote = memory.reach(offer);
      if (this.#remote !== undefined) this.#options.send(FrameType.BORROW, () => {});
    });
  }

  /** The connection has ended: what is borrowed stays, and nobody waits for its return. */
  close(): void {
    this.#isClosed = true;
  }

  #map(region: RegionReference, isExact: boolean): ArrayBuffer {
    const { id, byteLength } = region;
    const { maxMessageBytes } = this.#options;
    if (this.#remote === undefined) throw notBorrowed();
    this.#borrowedBytes += byteLength;
    if (byteLength < SHARED_BYTES || this.#borrowedBytes > maxMessageBytes) {
      throw new ProtocolError(
        `A message refers to ${byteLength} bytes of memory, to ${this.#borrowedBytes} in all; it may be ${SHARED_BYTES} to ${maxMessageBytes}.`,
      );
    }
    return this.#remote.map(region, isExact, () => this.#return(id));
  }

  #return(id: number): void {
    if (this.#isClosed) return;
    this.#returns.push(id);
    if (this.#returns.length > 1) return;
    this.#options.clock.nextTurn(() => {
      const ids = this.#returns;
      this.#returns = [];
      if (this.#isClosed) return;
      this.#options.send(FrameType.RETURN, (out) => {
        for (const returned of ids) out.u32(returned);
      });
    });
  }
}

function notBorrowed(): ProtocolError {
  return new ProtocolError("A message refers to memory that was not borrowed.");
}
