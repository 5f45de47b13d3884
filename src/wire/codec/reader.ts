import { ProtocolError } from "../../core/errors.ts";
import { nativeText } from "./native-text.ts";
import type { BinarySource } from "./shared-binary.ts";

/**
 * Reads bytes one behind another, never past `end`.
 *
 * One reader serves many messages: `reset` points it at the next. What it gives out never refers to `bytes`, unless
 * they are `owned`.
 */
export class ByteReader {
  bytes: Uint8Array;
  at: number;
  end: number;
  /** The bytes belong to this message alone and are never written to again: large binary may stay where it is. */
  owned: boolean;
  /** Where binary is that is not in the message itself. */
  source: BinarySource | undefined = undefined;
  #view: DataView | undefined = undefined;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.owned = false;
  }

  reset(bytes: Uint8Array, start: number, end: number, owned = false): void {
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      // A view costs more than a small message; most messages need none.
      this.#view = undefined;
    }
    this.at = start;
    this.end = end;
    this.owned = owned;
  }

  get view(): DataView {
    return (this.#view ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength));
  }

  /** Moves over `count` bytes and returns where they began. @throws {ProtocolError} if there are fewer. */
  take(count: number): number {
    const start = this.at;
    if (count > this.end - start) throw truncated(count, this.end - start);
    this.at = start + count;
    return start;
  }

  u8(): number {
    if (this.at >= this.end) throw truncated(1, 0);
    return this.bytes[this.at++]!;
  }

  u16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  f64(): number {
    return this.view.getFloat64(this.take(8), true);
  }

  /** The text of `length` bytes of UTF-8; what is no UTF-8 becomes U+FFFD. */
  utf8(length: number): string {
    const start = this.take(length);
    return length === 0 ? "" : nativeText.utf8Slice(this.bytes, start, this.at);
  }

  /** The rest, or `count` bytes, in memory of their own. */
  copy(count: number = this.end - this.at): Uint8Array<ArrayBuffer> {
    const start = this.take(count);
    // `slice` would give a Buffer if `bytes` is one, and a Buffer's own `slice` does not copy.
    const copy = new Uint8Array(count);
    copy.set(this.bytes.subarray(start, this.at));
    return copy;
  }
}

export function truncated(needed: number, left: number): ProtocolError {
  return new ProtocolError(`A message is cut short: ${needed} more bytes were announced, ${left} are left.`);
}
