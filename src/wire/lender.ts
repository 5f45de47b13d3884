import type { Clock } from "../core/contracts/clock.ts";
import type { EncodedBody } from "../core/contracts/replica-client.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Call } from "../core/handle/call.ts";
import type { Format } from "./codec/format.ts";
import type { ByteReader } from "./codec/reader.ts";
import type { BinarySink, RegionReference } from "./codec/shared-binary.ts";
import { SHARED_BYTES } from "./codec/tags.ts";
import type { ByteWriter } from "./codec/writer.ts";
import { FrameType } from "./frames.ts";
import type { SendFrame } from "./loans.ts";
import { argsOf, referencesIn, SharedBody } from "./shared-body.ts";
import type { Region } from "./shared-memory.ts";
import type { Sharing } from "./sharing.ts";

/** What arguments are written and read with. */
export type ArgsFormat = Pick<Format, "encodeArgs" | "decodeArgs">;

export interface LenderOptions {
  readonly sharing: Sharing;
  readonly clock: Clock;
  readonly send: SendFrame;
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
 * What one side of a connection has lent to the other.
 *
 * A region that was lent is held until the other side returns it. When the connection ends first, the region is held no
 * longer, but is not written to again: the other side may have it before its eyes still.
 */
export class Lender implements BinarySink {
  /** Of the message that is being written: nearly always nothing. */
  taken: { readonly region: Region; readonly at: number }[] = [];
  readonly #options: LenderOptions;
  #state: State = State.SILENT;
  #takenBytes = 0;
  readonly #lent = new Map<number, Loan>();

  constructor(options: LenderOptions) {
    this.#options = options;
    // Somebody maps what this process lends: the first large value should not have to wait for an answer here.
    if (options.sharing.borrowers > 0) this.#offer();
  }

  take(bytes: Uint8Array, at: number): RegionReference | undefined {
    if (this.#state !== State.LENDING) {
      this.#offer();
      return undefined;
    }
    const region = this.#options.sharing.memory?.store(bytes);
    if (region === undefined) return undefined;
    this.taken.push({ region, at });
    this.#takenBytes += bytes.byteLength;
    return region;
  }

  /** About how much of a message of so many bytes will be in its frame. */
  inlineBytes(bytes: number): number {
    return this.#state === State.LENDING && bytes >= SHARED_BYTES ? 0 : bytes;
  }

  rewind(at: number): void {
    while (this.taken.length > 0 && this.taken.at(-1)!.at >= at) {
      const { region } = this.taken.pop()!;
      this.#takenBytes -= region.byteLength;
      region.release(true);
    }
  }

  /** Writes arguments that are encoded already, as they are or, where they cannot be reached, anew. */
  append(out: ByteWriter, body: EncodedBody, format: ArgsFormat): void {
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
    for (const { region } of this.taken) {
      const loan = this.#lent.get(region.id);
      if (loan === undefined) this.#lent.set(region.id, { region, times: 1 });
      else loan.times++;
    }
    const bytes = this.#takenBytes;
    this.taken = [];
    this.#takenBytes = 0;
    return bytes;
  }

  /** The message was taken back. */
  abort(): void {
    this.rewind(0);
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

  /** The other side can see what was offered. @throws {ProtocolError} if nothing was. */
  onBorrow(): void {
    if (this.#state !== State.OFFERED) throw new ProtocolError("The peer borrows what it was not offered.");
    this.#state = State.LENDING;
    this.#options.sharing.borrowers++;
  }

  /** @throws {ProtocolError} if the other side does not have what it returns. */
  onReturn(reader: ByteReader): void {
    while (reader.at < reader.end) this.#settle(reader.u32());
  }

  /** The connection has ended. */
  close(): void {
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
      this.#options.sharing.whenOpen(({ offer }) => {
        if (this.#state === State.OFFERED) this.#options.send(FrameType.LEND, (out) => out.append(offer));
      });
    });
  }

  #take(regions: readonly Region[], at: number): void {
    for (const region of regions) {
      region.hold();
      this.taken.push({ region, at });
      this.#takenBytes += region.byteLength;
    }
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
}
