import type { Clock } from "../core/contracts/clock.ts";
import type { EncodedBody } from "../core/contracts/replica-client.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Call } from "../core/handle/call.ts";
import type { Format } from "./codec/format.ts";
import type { ByteReader } from "./codec/reader.ts";
import type { BinarySink, BinarySource, RegionReference } from "./codec/shared-binary.ts";
import { SHARED_BYTES } from "./codec/tags.ts";
import type { ByteWriter } from "./codec/writer.ts";
import { FrameType } from "./frames.ts";
import type { Limits } from "./limits.ts";
import { argsOf, referencesIn, SharedBody } from "./shared-body.ts";
import type { Region, RemoteMemory } from "./shared-memory.ts";
import type { Sharing } from "./sharing.ts";
import type { SlabWriter } from "./slab-writer.ts";

export interface LoansOptions {
  readonly sharing: Sharing;
  readonly clock: Clock;
  readonly limits: Limits;
  /** Where this side writes frames that belong to no call. */
  writer(): SlabWriter;
}

/**
 * Whether the other side maps what this one lends.
 *
 * ```
 * SILENT ─(something large is to be sent)─► OFFERED ─(it can see it)─► LENDING
 *    └──────────────────┴───────────────────────┴─► CLOSED
 * ```
 */
const State = { SILENT: 0, OFFERED: 1, LENDING: 2, CLOSED: 3 } as const;
type State = (typeof State)[keyof typeof State];

interface Loan {
  readonly region: Region;
  /** In how many messages the other side has got it, and has not returned it. */
  times: number;
}

/**
 * The memory that the two sides of one connection lend each other: what this side has lent, and what it has borrowed.
 *
 * A region that was lent is held until the other side returns it. When the connection ends first, the region is held no
 * longer, but is not written to again: the other side may have it before its eyes still.
 */
export class Loans implements BinarySink, BinarySource {
  readonly #options: LoansOptions;
  #state: State = State.SILENT;
  /** Of the message that is being written. */
  #taken: { readonly region: Region; readonly at: number }[] = [];
  #takenBytes = 0;
  readonly #lent = new Map<number, Loan>();
  #remote: RemoteMemory | undefined = undefined;
  #isOfferSeen = false;
  /** What the message refers to that is being read. */
  #borrowedBytes = 0;
  #returns: number[] = [];
  #failure: Error | undefined = undefined;

  constructor(options: LoansOptions) {
    this.#options = options;
    // Somebody maps what this process lends: the first large value should not have to wait for an answer here.
    if (options.sharing.borrowers > 0) this.#offer();
  }

  /** Regions that the other side has. */
  get lent(): number {
    return this.#lent.size;
  }

  take(bytes: Uint8Array, at: number): RegionReference | undefined {
    if (this.#state !== State.LENDING) {
      this.#offer();
      return undefined;
    }
    const region = this.#options.sharing.memory!.store(bytes);
    if (region === undefined) return undefined;
    this.#taken.push({ region, at });
    this.#takenBytes += bytes.byteLength;
    return region;
  }

  rewind(at: number): void {
    while (this.#taken.length > 0 && this.#taken.at(-1)!.at >= at) {
      const { region } = this.#taken.pop()!;
      this.#takenBytes -= region.byteLength;
      region.release(true);
    }
  }

  /** Writes arguments that are encoded already, as they are or, where they cannot be reached, anew. */
  append(out: ByteWriter, body: EncodedBody, format: Format): void {
    const isShared = body instanceof SharedBody;
    // The next one like it could be lent.
    if (body.end - body.start >= SHARED_BYTES && out.sink !== undefined) this.#offer();
    if (!isShared || this.#state === State.LENDING) {
      out.append(body.bytes, body.start, body.end);
      if (isShared) this.#take(body.regions, out.at);
    } else {
      this.#offer();
      format.encodeArgs(argsOf(body, format), out);
    }
  }

  /** The message is written and will be sent. @returns how many bytes it refers to. */
  commit(): number {
    if (this.#taken.length === 0) return 0;
    for (const { region } of this.#taken) {
      const loan = this.#lent.get(region.id);
      if (loan === undefined) this.#lent.set(region.id, { region, times: 1 });
      else loan.times++;
    }
    const bytes = this.#takenBytes;
    this.#taken = [];
    this.#takenBytes = 0;
    return bytes;
  }

  /** The message was taken back. */
  abort(): void {
    this.rewind(0);
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
    this.#borrowedBytes = 0;
    return bytes;
  }

  /** Gives back what a message refers to that nobody is going to read. */
  discard(reader: ByteReader, format: Format, isArgs: boolean): void {
    for (const { id } of referencesIn(reader, format, isArgs)) {
      if (this.#remote === undefined) throw notBorrowed();
      this.#return(id);
    }
  }

  /** Arguments that come back unread, in memory of their own: with what they refer to, which is lent no longer. */
  reclaim(call: Call, reader: ByteReader, format: Format): EncodedBody {
    const { at } = reader;
    const bytes = reader.copy();
    reader.at = at;
    const body: EncodedBody = { bytes, start: 0, end: bytes.byteLength };
    const references = referencesIn(reader, format, true);
    if (references.length === 0) return body;
    const regions = references.map(({ id }) => {
      const { region } = this.#loan(id);
      region.hold();
      return region;
    });
    for (const { id } of references) this.#settle(id);
    return new SharedBody(body, regions, call);
  }

  /** What a frame of this side's says. @throws {ProtocolError} if it makes no sense. */
  onFrame(type: number, reader: ByteReader): void {
    switch (type) {
      case FrameType.LEND:
        this.#offered(reader.copy());
        return;
      case FrameType.BORROW:
        if (this.#state !== State.OFFERED) throw new ProtocolError("The peer borrows what it was not offered.");
        this.#state = State.LENDING;
        this.#options.sharing.borrowers++;
        return;
      default:
        while (reader.at < reader.end) this.#settle(reader.u32());
    }
  }

  /** The connection has ended. */
  close(): void {
    if (this.#state === State.CLOSED) return;
    this.abort();
    if (this.#state === State.LENDING) this.#options.sharing.borrowers--;
    this.#state = State.CLOSED;
    for (const { region, times } of this.#lent.values()) for (let i = 0; i < times; i++) region.release(false);
    this.#lent.clear();
  }

  /** Says where memory of this process is. Not now: a frame is being written. */
  #offer(): void {
    if (this.#state !== State.SILENT) return;
    this.#state = State.OFFERED;
    this.#options.clock.nextTurn(() => {
      const memory = this.#options.sharing.memory;
      if (this.#state !== State.OFFERED || memory === undefined) return;
      this.#frame(FrameType.LEND, (out) => out.append(memory.offer));
    });
  }

  #offered(offer: Uint8Array): void {
    if (this.#isOfferSeen) throw new ProtocolError("The peer has offered memory twice.");
    this.#isOfferSeen = true;
    this.#remote = this.#options.sharing.memory?.reach(offer);
    if (this.#remote !== undefined) this.#frame(FrameType.BORROW, () => {});
  }

  #take(regions: readonly Region[], at: number): void {
    for (const region of regions) {
      region.hold();
      this.#taken.push({ region, at });
      this.#takenBytes += region.byteLength;
    }
  }

  #map(region: RegionReference, isExact: boolean): ArrayBuffer {
    const { id, byteLength } = region;
    const { maxMessageBytes } = this.#options.limits;
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
    if (this.#state === State.CLOSED) return;
    this.#returns.push(id);
    if (this.#returns.length > 1) return;
    this.#options.clock.nextTurn(() => {
      const ids = this.#returns;
      this.#returns = [];
      if (this.#state === State.CLOSED) return;
      this.#frame(FrameType.RETURN, (out) => {
        for (const returned of ids) out.u32(returned);
      });
    });
  }

  #loan(id: number): Loan {
    const loan = this.#lent.get(id);
    if (loan === undefined) throw new ProtocolError(`The peer returns region ${id}, which it has not got.`);
    return loan;
  }

  #settle(id: number): void {
    const loan = this.#loan(id);
    if (--loan.times === 0) this.#lent.delete(id);
    loan.region.release(true);
  }

  #frame(type: number, write: (out: ByteWriter) => void): void {
    const writer = this.#options.writer();
    const start = writer.begin(type, 0, 0, 0);
    write(writer.out);
    writer.end(start);
  }
}

function notBorrowed(): ProtocolError {
  return new ProtocolError("A message refers to memory that was not borrowed.");
}
