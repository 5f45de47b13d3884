import { ByteWriter } from "./codec/writer.ts";
import { FlushPace } from "./flush-pace.ts";
import { SLAB_BYTES, type FrameMemory } from "./frame-memory.ts";
import { BULK_BYTES, FLUSH_BYTES, FrameType, HEADER_BYTES } from "./frames.ts";
import type { Transport } from "./transport.ts";

/** Where a large frame begins in its slab: its body is then at a multiple of 8, and large binary in it too. */
const LARGE_START = 4;
/** Room for what stands around a large payload. */
const AROUND_BYTES = 1_024;
/** Nobody gets more memory in advance for saying that a frame will be large. */
const MAX_EXPECTED_BYTES = 268_435_456;

/** Frames that wait to be handed over: `slab[start, end)`. */
interface Chunk {
  readonly slab: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/**
 * Writes frames one behind another into a slab and hands them over in one piece: at the end of the turn, or as soon as
 * there are enough that the other side can begin while this one goes on. A large frame gets a slab of its own, so that
 * its payload is copied once.
 *
 * While the transport is busy or not connected, full slabs wait in a queue.
 */
export class SlabWriter {
  readonly out: ByteWriter;
  readonly #transport: Transport;
  readonly #pace: FlushPace;
  readonly #memory: FrameMemory;
  /** Bytes handed to the transport since it was connected. */
  handedBytes = 0;
  readonly #queue: Chunk[] = [];
  #queuedBytes = 0;
  /** What is to be handed over begins here in `out`. */
  #from = 0;
  /** What the transport holds on to while it is busy. */
  #inTransit: Uint8Array | undefined = undefined;
  #busy = false;
  #scheduled = false;
  #open = true;
  #ending = false;
  #gathers = false;
  readonly #flushLater: () => void;
  readonly #flushGathered: () => void;

  constructor(transport: Transport) {
    this.#transport = transport;
    this.#pace = new FlushPace(transport.preemptions);
    this.#memory = transport.memory;
    this.out = new ByteWriter(this.#memory.take(SLAB_BYTES), this.#memory);
    this.#flushLater = () => {
      this.#scheduled = false;
      this.flush();
      this.#pace.turnEnded();
    };
    this.#flushGathered = () => {
      this.#gathers = false;
      this.flush();
      this.#pace.turnEnded();
    };
  }

  /** Where the stream will be after what has been written so far. */
  get position(): number {
    return this.positionOf(this.out.at);
  }

  /** Where in the stream a frame will be that was begun at `start`. */
  positionOf(start: number): number {
    return this.handedBytes + this.#queuedBytes + start - this.#from;
  }

  /**
   * Begins a frame and returns where; the body follows in `out`, then `end`. To give the frame up, set `out.at` back.
   *
   * @param expectedBytes about how large the body will be, if it is known to be large.
   */
  begin(type: number, flags: number, aux: number, id: number, expectedBytes = 0): number {
    if (expectedBytes > BULK_BYTES) this.#reserve(expectedBytes);
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

  /**
   * Ends a frame.
   *
   * @param gathers it is one of many that come of what has arrived on other connections: rather than at the end of the
   *   turn it may be handed over with those that follow it at once.
   */
  end(start: number, gathers = false): void {
    const { out } = this;
    out.view.setUint32(start, out.at - start - HEADER_BYTES, true);
    if (gathers) this.#gather();
    else this.schedule();
    if (out.at - this.#from < this.#pace.bytes) return;
    this.flush();
    this.#pace.flushed();
  }

  /** Takes a frame whose body is written, but not ended, over to another connection; returns where it begins there. */
  moveTo(other: SlabWriter, start: number): number {
    const { out } = this;
    const { bytes, at } = out;
    if (bytes.length === SLAB_BYTES) {
      const movedTo = other.out.at;
      other.out.append(bytes, start, at);
      out.at = start;
      return movedTo;
    }
    // It has outgrown the slab, which goes with it: what was written before it is the smaller part.
    const before = bytes.subarray(this.#from, start);
    out.reset(this.#memory.take(Math.max(SLAB_BYTES, before.length)));
    this.#from = 0;
    out.append(before);
    other.#seal();
    other.#goOnIn(bytes, start, at);
    return start;
  }

  /** A frame without a body. */
  bare(type: number, flags: number, aux: number, id: number): void {
    this.end(this.begin(type, flags, aux, id));
  }

  /** Where the bytes lie that will be at `position` of the stream, and were not handed over. */
  waitingAt(position: number): { readonly bytes: Uint8Array; readonly at: number } {
    let at = position - this.handedBytes;
    for (const { slab, start, end } of this.#queue) {
      if (at < end - start) return { bytes: slab, at: start + at };
      at -= end - start;
    }
    return { bytes: this.out.bytes, at: this.#from + at };
  }

  /** Sees to it that what was written is handed over at the end of the turn. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#transport.defer(this.#flushLater);
  }

  #gather(): void {
    if (this.#gathers || this.#scheduled) return;
    if (this.#transport.deferToRound === undefined) {
      this.schedule();
      return;
    }
    this.#gathers = true;
    this.#transport.deferToRound(this.#flushGathered);
  }

  flush(): void {
    const { out } = this;
    if (this.#busy || !this.#open || !this.#transport.connected) {
      // A full slab waits as it is: a larger one would have to be filled with what is in it.
      if (out.bytes.length !== SLAB_BYTES || out.at > SLAB_BYTES - FLUSH_BYTES) this.#seal();
      return;
    }
    if (this.#queue.length > 0 || out.bytes.length !== SLAB_BYTES) {
      this.#seal();
      this.#handQueue();
      return;
    }
    const { at: length, bytes } = out;
    if (length === 0) return;
    this.handedBytes += length;
    this.#memory.age();
    if (this.#transport.write(bytes.subarray(0, length))) out.at = 0;
    else {
      this.#keep(bytes);
      out.reset(this.#memory.take(SLAB_BYTES));
    }
  }

  /** The transport can take more. */
  resume(): void {
    this.#busy = false;
    if (this.#inTransit !== undefined) this.#memory.give(this.#inTransit);
    this.#inTransit = undefined;
    this.flush();
    if (this.#ending && this.#isEmpty) this.#transport.close();
  }

  /** Ends the connection when everything that was written has been handed over. */
  finish(): void {
    this.flush();
    // What gathered before there was a connection has nobody to go to.
    if (this.#isEmpty || !this.#transport.connected) this.#transport.close();
    else this.#ending = true;
  }

  /** Says why the connection ends at once, if the other side can take it now: nobody waits for it. */
  goodbye(reason: string): void {
    if (this.#busy || !this.#open || !this.#transport.connected) return;
    const start = this.begin(FrameType.GOODBYE, 0, 0, 0);
    this.out.utf8(reason);
    this.end(start);
    this.flush();
  }

  /** Nothing more is handed over. */
  stop(): void {
    this.#open = false;
    this.#inTransit = undefined;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#goOnIn(EMPTY, 0, 0);
  }

  get #isEmpty(): boolean {
    return this.#queue.length === 0 && this.out.at === this.#from;
  }

  #reserve(bytes: number): void {
    this.#seal();
    const { out } = this;
    const size = LARGE_START + HEADER_BYTES + Math.min(bytes, MAX_EXPECTED_BYTES) + AROUND_BYTES;
    const memory = this.#memory;
    memory.give(out.bytes);
    this.#goOnIn(this.#transport.give === undefined ? memory.take(size) : memory.fresh(size), LARGE_START, LARGE_START);
  }

  /** Puts what was written at the end of the queue. */
  #seal(): void {
    const { out } = this;
    const start = this.#from;
    const { at: end, bytes: slab } = out;
    if (end === start) return;
    if (this.#open) {
      this.#queue.push({ slab, start, end });
      this.#queuedBytes += end - start;
    }
    this.#goOnIn(this.#memory.take(SLAB_BYTES), 0, 0);
  }

  #goOnIn(slab: Uint8Array, from: number, at: number): void {
    this.out.reset(slab);
    this.out.at = at;
    this.#from = from;
  }

  #handQueue(): void {
    while (!this.#busy && this.#queue.length > 0) {
      const { slab, start, end } = this.#queue.shift()!;
      this.#queuedBytes -= end - start;
      this.handedBytes += end - start;
      const bytes = slab.subarray(start, end);
      // Mostly full: what is given away is not to hold much more than it says.
      const { give } = this.#transport;
      if (give !== undefined && slab.length > SLAB_BYTES && bytes.length * 4 > slab.length * 3)
        this.#transport.give!(bytes);
      else if (this.#transport.write(bytes)) this.#memory.give(slab);
      else this.#keep(slab);
    }
  }

  #keep(slab: Uint8Array): void {
    this.#busy = true;
    this.#inTransit = slab;
  }
}

const EMPTY = new Uint8Array(0);
