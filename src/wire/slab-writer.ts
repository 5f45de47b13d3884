import { ByteWriter } from "./codec/writer.ts";
import { FlushPace } from "./flush-pace.ts";
import { HEADER_BYTES } from "./frames.ts";
import type { Transport } from "./transport.ts";

const SLAB_BYTES = 65_536;
/** A slab that grew for large frames is kept for the next ones up to this size: fresh memory costs more than writing it. */
const MAX_KEPT_BYTES = 8_388_608;
/** A large slab is given back after so many small flushes in a row. */
const SMALL_FLUSHES = 64;

/**
 * Writes frames one behind another into a slab and hands them over in one piece: at the end of the turn, or as soon as
 * there are enough that the other side can begin while this one goes on.
 *
 * While the transport is busy or not connected, frames gather.
 */
export class SlabWriter {
  readonly out: ByteWriter;
  readonly #transport: Transport;
  readonly #pace: FlushPace;
  /** Bytes handed to the transport since it was connected. */
  handedBytes = 0;
  /** What the transport holds on to while it is busy. */
  #inTransit: Uint8Array | undefined = undefined;
  #spare: Uint8Array | undefined = undefined;
  #smallFlushes = 0;
  #busy = false;
  #scheduled = false;
  #open = true;
  #ending = false;
  readonly #flushLater: () => void;

  constructor(transport: Transport) {
    this.#transport = transport;
    this.#pace = new FlushPace(transport.preemptions);
    this.out = new ByteWriter(new Uint8Array(SLAB_BYTES));
    this.#flushLater = () => {
      this.#scheduled = false;
      this.flush();
      this.#pace.turnEnded();
    };
  }

  /** Where the stream will be after what has been written so far. */
  get position(): number {
    return this.handedBytes + this.out.at;
  }

  /** Begins a frame and returns where; the body follows in `out`, then `end`. To give the frame up, set `out.at` back. */
  begin(type: number, flags: number, aux: number, id: number): number {
    const { out } = this;
    const start = out.at;
    out.ensure(HEADER_BYTES);
    const { view } = out;
    view.setUint8(start + 4, type);
    view.setUint8(start + 5, flags);
    view.setUint16(start + 6, aux, true);
    view.setUint32(start + 8, id, true);
    out.at = start + HEADER_BYTES;
    return start;
  }

  end(start: number): void {
    const { out } = this;
    out.view.setUint32(start, out.at - start - HEADER_BYTES, true);
    this.schedule();
    if (out.at < this.#pace.bytes) return;
    this.flush();
    this.#pace.flushed();
  }

  /** Takes a frame whose body is written, but not ended, over to another connection; returns where it begins there. */
  moveTo(other: SlabWriter, start: number): number {
    const { out } = this;
    const at = other.out.at;
    other.out.append(out.bytes, start, out.at);
    out.at = start;
    return at;
  }

  /** A frame without a body. */
  bare(type: number, flags: number, aux: number, id: number): void {
    this.end(this.begin(type, flags, aux, id));
  }

  /** Sees to it that what was written is handed over at the end of the turn. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#transport.defer(this.#flushLater);
  }

  flush(): void {
    const { out } = this;
    if (this.#busy || out.at === 0 || !this.#open || !this.#transport.connected) return;
    const { at: length, bytes } = out;
    this.handedBytes += length;
    if (this.#transport.write(bytes.subarray(0, length))) {
      if (bytes.length === SLAB_BYTES) out.at = 0;
      else out.reset(this.#isWorthKeeping(bytes, length) ? bytes : new Uint8Array(SLAB_BYTES));
      return;
    }
    this.#busy = true;
    this.#inTransit = bytes;
    out.reset(this.#spare ?? new Uint8Array(SLAB_BYTES));
    this.#spare = undefined;
  }

  /** @param length what was written of it. */
  #isWorthKeeping(slab: Uint8Array, length: number): boolean {
    this.#smallFlushes = length > SLAB_BYTES ? 0 : this.#smallFlushes + 1;
    return slab.length <= MAX_KEPT_BYTES && this.#smallFlushes < SMALL_FLUSHES;
  }

  /** The transport can take more. */
  resume(): void {
    this.#busy = false;
    const sent = this.#inTransit;
    this.#inTransit = undefined;
    if (sent !== undefined && (sent.length === SLAB_BYTES || this.#isWorthKeeping(sent, sent.length)))
      this.#spare = sent;
    this.flush();
    if (this.#ending && this.out.at === 0) this.#transport.close();
  }

  /** Ends the connection when everything that was written has been handed over. */
  finish(): void {
    this.flush();
    // What gathered before there was a connection has nobody to go to.
    if (this.out.at === 0 || !this.#transport.connected) this.#transport.close();
    else this.#ending = true;
  }

  /** Nothing more is handed over. */
  stop(): void {
    this.#open = false;
    this.#inTransit = undefined;
    this.#spare = undefined;
    this.out.reset(EMPTY);
  }
}

const EMPTY = new Uint8Array(0);
