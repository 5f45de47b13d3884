import { ProtocolError } from "../../core/errors.ts";
import type { Limits } from "../limits.ts";
import { readBinary } from "./binary.ts";
import { readError } from "./error-decoder.ts";
import type { ValueExtension } from "./extension.ts";
import { cachedKey, shortText } from "./key-cache.ts";
import { nativeText } from "./native-text.ts";
import { type ByteReader, truncated } from "./reader.ts";
import { readShared } from "./shared-binary.ts";
import { Header, SHORT_STRING, SHORT_STRING_END, SMALL_ARRAY, SMALL_ARRAY_END, SMALL_INT_END, Tag } from "./tags.ts";

/** Assigning beyond an array's end by more than this makes it a sparse one, which takes no memory for what is missing. */
const SPARSE_GAP = 1_024;
const MAX_INDEX = 0xffff_fffe;

/** Reads one message at a time; as with the encoder, it must not be used for another meanwhile. */
export class ValueDecoder {
  reader!: ByteReader;
  readonly limits: Limits;
  readonly #extension: ValueExtension;
  busy = false;
  #start = 0;
  #depth = 0;
  /** What began where, if the message refers to any of it. */
  #places: Map<number, unknown> | undefined = undefined;

  constructor(limits: Limits, extension: ValueExtension) {
    this.limits = limits;
    this.#extension = extension;
  }

  /** @throws {ProtocolError} whatever is wrong with the bytes. */
  message(reader: ByteReader, isArgs: boolean): unknown {
    this.reader = reader;
    // The array of the arguments is no container of the user's.
    this.#depth = isArgs ? -1 : 0;
    this.#start = reader.at;
    this.busy = true;
    try {
      const header = reader.u8();
      if (header > (Header.REFERENCES | Header.SHARED))
        throw new ProtocolError(`A message begins with ${header}, which this version does not know.`);
      if (header & Header.REFERENCES) this.#places = new Map();
      if (header & Header.SHARED) reader.source?.begin();
      return this.value();
    } catch (thrown) {
      if (thrown instanceof ProtocolError) throw thrown;
      throw new ProtocolError(`A message cannot be read: ${String(thrown)}`, { cause: thrown });
    } finally {
      this.#places = undefined;
      this.busy = false;
    }
  }

  value(): unknown {
    const { reader } = this;
    const { at } = reader;
    if (at >= reader.end) throw truncated(1, 0);
    const tag = reader.bytes[at]!;
    reader.at = at + 1;
    if (tag < SMALL_INT_END) return tag;
    if (tag < SHORT_STRING_END) {
      const length = tag - SHORT_STRING;
      return shortText(reader.bytes, reader.take(length), length);
    }
    if (tag < SMALL_ARRAY_END) return this.#array(tag - SMALL_ARRAY, at);
    switch (tag) {
      case Tag.OBJECT:
        return this.#object({}, at);
      case Tag.NULL:
        return null;
      case Tag.TRUE:
        return true;
      case Tag.FALSE:
        return false;
      case Tag.INT8:
        return (reader.u8() << 24) >> 24;
      case Tag.INT16: {
        const from = reader.take(2);
        return ((reader.bytes[from]! | (reader.bytes[from + 1]! << 8)) << 16) >> 16;
      }
      case Tag.INT32: {
        const from = reader.take(4);
        const { bytes } = reader;
        return bytes[from]! | (bytes[from + 1]! << 8) | (bytes[from + 2]! << 16) | (bytes[from + 3]! << 24);
      }
      case Tag.DOUBLE:
        return reader.f64();
      case Tag.STRING8:
        return reader.utf8(reader.u8());
      case Tag.STRING32:
        return reader.utf8(reader.u32());
      case Tag.UNDEFINED:
        return undefined;
      case Tag.ARRAY:
        return this.#array(reader.u32(), at);
      default:
        return this.#rich(tag, at);
    }
  }

  /** A string, whichever way it is written. @throws {ProtocolError} if something else follows. */
  string(): string {
    const value = this.value();
    if (typeof value !== "string") throw new ProtocolError("A message holds something else where a string must be.");
    return value;
  }

  enter(): void {
    if (++this.#depth > this.limits.maxDepth)
      throw new ProtocolError(`A message is nested deeper than ${this.limits.maxDepth} levels, the limit.`);
  }

  leave(): void {
    this.#depth--;
  }

  /** Notes what began at `at`, so that it can be referred to; before anything inside it is read. */
  place<T>(at: number, value: T): T {
    if (this.#places !== undefined) this.#places.set(at - this.#start, value);
    return value;
  }

  /** The name of the next property; undefined at the end of the object. */
  key(): string | undefined {
    const { reader } = this;
    const { at } = reader;
    if (at >= reader.end) throw truncated(1, 0);
    const tag = reader.bytes[at]!;
    if (tag >= SHORT_STRING && tag < SHORT_STRING_END) {
      reader.at = at + 1;
      const length = tag - SHORT_STRING;
      return cachedKey(reader.bytes, reader.take(length), length);
    }
    if (tag === Tag.END) {
      reader.at = at + 1;
      return undefined;
    }
    return this.string();
  }

  /** Whether the container ends here. */
  ends(): boolean {
    const { reader } = this;
    if (reader.at >= reader.end) throw truncated(1, 0);
    if (reader.bytes[reader.at] !== Tag.END) return false;
    reader.at++;
    return true;
  }

  #object(object: Record<string, unknown>, at: number): unknown {
    this.place(at, object);
    this.enter();
    for (let key = this.key(); key !== undefined; key = this.key()) {
      const value = this.value();
      // Assigning to it would change what the object inherits from.
      if (key === "__proto__")
        Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
      else object[key] = value;
    }
    this.leave();
    return object;
  }

  #array(length: number, at: number): unknown[] {
    const { reader } = this;
    const array = startOf(length);
    this.place(at, array);
    this.enter();
    if (length > this.limits.maxArrayLength)
      throw new ProtocolError(
        `A message holds an array of ${length} elements; the limit is ${this.limits.maxArrayLength}.`,
      );
    // No room is made in advance: nested arrays that all promise many elements would take far more memory than bytes.
    let i = 0;
    let holes = 0;
    while (i < length) {
      if (reader.at < reader.end && reader.bytes[reader.at] === Tag.HOLES) {
        reader.at++;
        const count = reader.u32();
        if (count === 0 || count > length - i)
          throw new ProtocolError("A message holds more holes than its array has room for.");
        if (array.length > i) array.length = i;
        this.#holes(array, count, holes);
        holes += count;
        i += count;
      } else {
        array[i++] = this.value();
      }
    }
    this.leave();
    return array;
  }

  /** Lengthens an array by `count` slots; `holes` is how many it has without them. */
  #holes(array: unknown[], count: number, holes: number): void {
    const end = array.length + count;
    const far = end + SPARSE_GAP;
    if (holes + count <= SPARSE_GAP || far >= MAX_INDEX) {
      array.length = end;
      return;
    }
    array[far] = undefined;
    Reflect.deleteProperty(array, far);
    array.length = end;
  }

  #rich(tag: number, at: number): unknown {
    const { reader } = this;
    switch (tag) {
      case Tag.NULL_OBJECT:
        return this.#object(Object.create(null) as Record<string, unknown>, at);
      case Tag.STRING_UTF16: {
        const length = reader.u32();
        if (length % 2 !== 0) throw new ProtocolError("A message holds a part of a UTF-16 code unit.");
        const from = reader.take(length);
        return length === 0 ? "" : nativeText.utf16Slice(reader.bytes, from, reader.at);
      }
      case Tag.BIGINT:
        return this.#bigint();
      case Tag.DATE:
        return this.place(at, new Date(reader.f64()));
      case Tag.REGEXP: {
        const regexp = new RegExp(this.string(), this.string());
        regexp.lastIndex = reader.f64();
        return this.place(at, regexp);
      }
      case Tag.MAP: {
        const map = this.place(at, new Map<unknown, unknown>());
        this.enter();
        while (!this.ends()) map.set(this.value(), this.value());
        this.leave();
        return map;
      }
      case Tag.SET: {
        const set = this.place(at, new Set<unknown>());
        this.enter();
        while (!this.ends()) set.add(this.value());
        this.leave();
        return set;
      }
      case Tag.BINARY:
        return this.place(at, readBinary(reader));
      case Tag.SHARED:
        return this.place(at, readShared(reader));
      case Tag.ERROR:
        return readError(this, at);
      case Tag.EXTENSION: {
        this.enter();
        const description = this.value();
        this.leave();
        return this.place(at, this.#extension.revive(description));
      }
      case Tag.REFERENCE:
        return this.#reference(reader.u32());
      default:
        throw new ProtocolError(`A message holds the tag 0x${tag.toString(16)} where a value must be.`);
    }
  }

  #bigint(): bigint {
    const { reader } = this;
    const sign = reader.u8();
    const count = reader.u32();
    if (sign > 1 || count > this.limits.maxBigIntBytes)
      throw new ProtocolError(`A message holds a BigInt of ${count} bytes and sign ${sign}.`);
    const from = reader.take(count);
    let hex = "0x0";
    for (let i = count - 1; i >= 0; i--) hex += reader.bytes[from + i]!.toString(16).padStart(2, "0");
    const magnitude = BigInt(hex);
    return sign === 1 ? -magnitude : magnitude;
  }

  #reference(place: number): unknown {
    const places = this.#places;
    if (places === undefined || !places.has(place))
      throw new ProtocolError(`A message refers to a value at byte ${place}, where none began.`);
    return places.get(place);
  }
}

/**
 * An array to read so many elements into. Most arrays are short, those of arguments above all: they have their size from
 * the start, where adding to an empty one would make room for seventeen.
 */
function startOf(length: number): unknown[] {
  switch (length) {
    case 1:
      return [undefined];
    case 2:
      return [undefined, undefined];
    case 3:
      return [undefined, undefined, undefined];
    default:
      return [];
  }
}
