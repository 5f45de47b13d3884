import { ProtocolError } from "../core/errors.ts";
import type { FrameMemory } from "./frame-memory.ts";
import { HEADER_BYTES } from "./frames.ts";

/** Gets each frame; `bytes[start, end)` is the body, valid until the call returns unless `owned`. */
export type OnFrame = (header: FrameHeader, bytes: Uint8Array, start: number, end: number) => void;

/** The header of the frame at hand: one object, written over for each frame. */
export interface FrameHeader {
  type: number;
  flags: number;
  aux: number;
  id: number;
  /** The body is in memory of its own, which nobody will write to again. */
  owned: boolean;
}

/** A partial frame up to this size is put together in a reused buffer; a larger one gets its own. */
const CARRY_BYTES = 16_384;

/**
 * Cuts a stream of bytes into frames.
 *
 * Whole frames are handed on where they lie. Of a frame that is cut by the end of a chunk, a small one is completed in
 * a reused buffer; a large one gets its own, of its exact size, into which the transport may read directly (`target`).
 */
export class FrameReader {
  readonly #onFrame: OnFrame;
  readonly #maxFrameBytes: number;
  readonly #memory: Pick<FrameMemory, "receive">;
  readonly #header: FrameHeader = { type: 0, flags: 0, aux: 0, id: 0, owned: false };
  readonly #carry = new Uint8Array(HEADER_BYTES + CARRY_BYTES);
  readonly #carryView: DataView = new DataView(this.#carry.buffer);
  #carried = 0;
  #large: Uint8Array | undefined = undefined;
  #largeFilled = 0;
  #viewOf: ArrayBufferLike | undefined = undefined;
  #view: DataView = this.#carryView;

  /** @param memory of large frames. @default zeroed */
  constructor(maxFrameBytes: number, onFrame: OnFrame, memory: Pick<FrameMemory, "receive"> = zeroed) {
    this.#memory = memory;
    this.#maxFrameBytes = maxFrameBytes;
    this.#onFrame = onFrame;
  }

  /** The missing part of a large frame, if one is being read. */
  get target(): Uint8Array | undefined {
    return this.#large?.subarray(this.#largeFilled);
  }

  /** `length` bytes were put at the start of what `target` gave. */
  advance(length: number): void {
    this.#largeFilled += length;
    const large = this.#large!;
    if (this.#largeFilled < large.byteLength) return;
    this.#large = undefined;
    this.#header.owned = true;
    this.#onFrame(this.#header, large, 0, large.byteLength);
  }

  /**
   * @param owned nobody else uses this memory, now or later.
   * @throws {ProtocolError} if a frame is larger than allowed; the reader is of no use then.
   */
  push(bytes: Uint8Array, start: number, end: number, owned = false): void {
    let at = start;
    while (at < end) {
      if (this.#large !== undefined) {
        const length = Math.min(this.#large.byteLength - this.#largeFilled, end - at);
        this.#large.set(bytes.subarray(at, at + length), this.#largeFilled);
        at += length;
        this.advance(length);
      } else if (this.#carried > 0) {
        at = this.#fillCarry(bytes, at, end);
      } else {
        at = this.#wholeFrames(bytes, at, end, owned);
      }
    }
  }

  #wholeFrames(bytes: Uint8Array, start: number, end: number, owned: boolean): number {
    let at = start;
    const view = this.#viewFor(bytes);
    const base = bytes.byteOffset;
    const header = this.#header;
    while (end - at >= HEADER_BYTES) {
      const length = view.getUint32(base + at, true);
      if (length > this.#maxFrameBytes) throw this.#tooLarge(length);
      if (end - at - HEADER_BYTES < length) {
        if (length <= CARRY_BYTES) break;
        this.#beginLarge(view, base + at, length);
        return at + HEADER_BYTES;
      }
      readHeader(view, base + at, header);
      const body = at + HEADER_BYTES;
      at = body + length;
      // Alone, or nearly: what a user keeps of it would keep all of the memory.
      header.owned = owned && length > CARRY_BYTES && length * 4 > bytes.buffer.byteLength * 3;
      this.#onFrame(header, bytes, body, at);
    }
    const rest = end - at;
    if (rest > 0) this.#carry.set(bytes.subarray(at, end), 0);
    this.#carried = rest;
    return end;
  }

  #fillCarry(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    if (this.#carried < HEADER_BYTES) {
      const length = Math.min(HEADER_BYTES - this.#carried, end - at);
      this.#carry.set(bytes.subarray(at, at + length), this.#carried);
      this.#carried += length;
      at += length;
      if (this.#carried < HEADER_BYTES) return at;
    }
    const length = this.#carryView.getUint32(0, true);
    if (length > this.#maxFrameBytes) throw this.#tooLarge(length);
    if (length > CARRY_BYTES) {
      // Only a header can be carried of a large frame, for its body goes to its own buffer as soon as the header is whole.
      this.#carried = 0;
      this.#beginLarge(this.#carryView, 0, length);
      return at;
    }
    const missing = HEADER_BYTES + length - this.#carried;
    const taken = Math.min(missing, end - at);
    this.#carry.set(bytes.subarray(at, at + taken), this.#carried);
    this.#carried += taken;
    at += taken;
    if (taken < missing) return at;
    this.#carried = 0;
    readHeader(this.#carryView, 0, this.#header);
    this.#onFrame(this.#header, this.#carry, HEADER_BYTES, HEADER_BYTES + length);
    return at;
  }

  #beginLarge(view: DataView, headerAt: number, length: number): void {
    readHeader(view, headerAt, this.#header);
    this.#large = this.#memory.receive(length);
    this.#largeFilled = 0;
  }

  #tooLarge(length: number): ProtocolError {
    return new ProtocolError(
      `A frame of ${length} bytes arrived; the limit is ${this.#maxFrameBytes}. Send less at a time, or stream it.`,
    );
  }

  /** One view per buffer: the transport reads into the same one again and again. */
  #viewFor(bytes: Uint8Array): DataView {
    if (this.#viewOf !== bytes.buffer) {
      this.#viewOf = bytes.buffer;
      this.#view = new DataView(bytes.buffer);
    }
    return this.#view;
  }
}

const zeroed: Pick<FrameMemory, "receive"> = { receive: (bytes) => new Uint8Array(bytes) };

function readHeader(view: DataView, at: number, header: FrameHeader): void {
  header.type = view.getUint8(at + 4);
  header.flags = view.getUint8(at + 5);
  header.aux = view.getUint16(at + 6, true);
  header.id = view.getUint32(at + 8, true);
  header.owned = false;
}
