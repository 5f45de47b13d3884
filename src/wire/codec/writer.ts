import { nativeText } from "./native-text.ts";
import type { BinarySink } from "./shared-binary.ts";
import { Unsendable } from "./unsendable.ts";

/** Strings up to this length are written by a loop: a call into the runtime costs more. */
const LOOP_CHARS = 24;
/** Up to this length the room for the worst case is taken; beyond it the length in bytes is counted first. */
const WORST_CASE_CHARS = 8_192;

/** Where a writer gets a larger array from, and puts the one that it has outgrown. */
export interface WriterMemory {
  /** At least so many bytes, with anything in them. */
  take(bytes: number): Uint8Array;
  give(bytes: Uint8Array): void;
}

const plainMemory: WriterMemory = { take: (bytes) => new Uint8Array(bytes), give() {} };

/**
 * Writes bytes one behind another into an array that grows when it is full.
 *
 * The fields are plain and may be set: `at = start` takes back what was written since, `reset` goes on in other memory.
 * `view` always shows `bytes`. After anything that may write, `bytes` may be another array.
 */
export class ByteWriter {
  bytes: Uint8Array;
  view: DataView;
  at = 0;
  /** Growing beyond this is refused; set by a message for as long as it is written. */
  limit = Infinity;
  readonly #memory: WriterMemory;
  /** Where large binary may go instead, for a reader that can find it there. */
  sink: BinarySink | undefined = undefined;

  /** @param slab what to write into first; it is not grown itself. */
  constructor(slab: Uint8Array = new Uint8Array(1_024), memory: WriterMemory = plainMemory) {
    this.#memory = memory;
    this.bytes = slab;
    this.view = new DataView(slab.buffer, slab.byteOffset, slab.byteLength);
  }

  /** Goes on at the start of other memory. */
  reset(bytes: Uint8Array): void {
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.at = 0;
  }

  /** Makes room for `count` more bytes; what was written stays where it is, in `bytes`. */
  ensure(count: number): void {
    if (this.at + count > this.bytes.length) this.grow(count);
  }

  /** A copy of what has been written from `start` on. */
  copy(start = 0): Uint8Array {
    return new Uint8Array(this.bytes.subarray(start, this.at));
  }

  u8(value: number): void {
    if (this.at === this.bytes.length) this.grow(1);
    this.bytes[this.at++] = value;
  }

  u32(value: number): void {
    this.ensure(4);
    this.view.setUint32(this.at, value, true);
    this.at += 4;
  }

  f64(value: number): void {
    this.ensure(8);
    this.view.setFloat64(this.at, value, true);
    this.at += 8;
  }

  /** Writes `bytes[start, end)`. */
  append(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    const count = end - start;
    this.ensure(count);
    this.bytes.set(count === bytes.length ? bytes : bytes.subarray(start, end), this.at);
    this.at += count;
  }

  /** Writes `text` in UTF-8, without its length. Lone surrogates become U+FFFD. */
  utf8(text: string): void {
    const { length } = text;
    this.ensure(length > WORST_CASE_CHARS ? nativeText.utf8Length(text) : length * 3);
    if (length > LOOP_CHARS || !this.#ascii(text, length)) this.at += nativeText.utf8Write(this.bytes, text, this.at);
  }

  /** @throws {Unsendable} if more was written than may be. */
  checkLimit(): void {
    if (this.at > this.limit) throw tooLarge();
  }

  /** Goes on in a larger array. @throws {Unsendable} if it would be larger than may be. */
  grow(count: number): void {
    const needed = this.at + count;
    if (needed > this.limit) throw tooLarge();
    const { bytes, at } = this;
    const larger = this.#memory.take(Math.max(needed, Math.min(bytes.length * 2, this.limit)));
    larger.set(bytes.subarray(0, at));
    this.reset(larger);
    this.at = at;
    this.#memory.give(bytes);
  }

  #ascii(text: string, length: number): boolean {
    const { bytes, at } = this;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return false;
      bytes[at + i] = code;
    }
    this.at = at + length;
    return true;
  }
}

function tooLarge(): Unsendable {
  return new Unsendable("is too large to be sent in one message; send less at a time, or stream it");
}
