import type { Limits } from "../limits.ts";
import { writeBinary } from "./binary.ts";
import { writeError } from "./error-encoder.ts";
import type { ValueExtension } from "./extension.ts";
import { kindOf } from "./kinds.ts";
import { nativeText } from "./native-text.ts";
import { References } from "./references.ts";
import { Header, SHORT_STRING, SMALL_ARRAY, SMALL_ARRAY_END, Tag } from "./tags.ts";
import { tooDeep, Unsendable } from "./unsendable.ts";
import { unsupported, unsupportedBy } from "./unsupported.ts";
import type { ByteWriter } from "./writer.ts";
import { checkBare, Holes, writeBigInt, writeDate, writeMap, writeRegExp, writeSet } from "./encode-rich.ts";

const { getPrototypeOf, getOwnPropertySymbols } = Object;
const { hasOwnProperty, propertyIsEnumerable } = Object.prototype;
const objectPrototype = Object.prototype;
const arrayPrototype = Array.prototype;

/** Strings up to this length are written by a loop. */
const LOOP_CHARS = 32;
/** Strings up to this length take at most 255 bytes. */
const STRING8_CHARS = 85;
/** Up to this length the room for the worst case is taken; beyond it the bytes are counted first. */
const WORST_CASE_CHARS = 8_192;

/**
 * Writes one message at a time. What it holds between messages is nothing; while it is at one it must not be used for
 * another, as a getter of the user's could bring about.
 *
 * No path is kept while it writes: a failure collects it on its way out.
 */
export class ValueEncoder {
  writer!: ByteWriter;
  readonly limits: Limits;
  readonly references: References = new References();
  readonly #extension: ValueExtension;
  /** Where the message began; places of objects count from here. */
  start = 0;
  busy = false;
  #depth = 0;
  #referenced = false;
  /** Somebody has put enumerable properties on Object.prototype: `for…in` shows them on every object. */
  #polluted = false;

  constructor(limits: Limits, extension: ValueExtension) {
    this.limits = limits;
    this.#extension = extension;
  }

  /** @throws {Unsendable} with everything written taken back. */
  message(value: unknown, isArgs: boolean, writer: ByteWriter): void {
    this.writer = writer;
    this.start = writer.at;
    this.busy = true;
    writer.limit = writer.at + this.limits.maxMessageBytes;
    this.#polluted = false;
    for (const _ in objectPrototype) this.#polluted = true;
    try {
      writer.u8(Header.PLAIN);
      if (isArgs) this.#elements(value as readonly unknown[]);
      else this.value(value);
      if (this.#referenced) writer.bytes[this.start]! |= Header.REFERENCES;
      writer.checkLimit();
    } catch (thrown) {
      writer.at = this.start;
      throw Unsendable.from(thrown);
    } finally {
      writer.limit = Infinity;
      this.references.clear();
      this.#depth = 0;
      this.#referenced = false;
      this.busy = false;
    }
  }

  value(value: unknown): void {
    // Not a switch: the engine knows what `typeof x === "…"` asks, and makes no string for it.
    if (typeof value === "string") return this.string(value);
    if (typeof value === "number") return this.#number(value);
    if (typeof value === "object") {
      if (value === null) return this.writer.u8(Tag.NULL);
      const prototype = getPrototypeOf(value) as unknown;
      if (prototype === objectPrototype) return this.#object(value as Record<string, unknown>, Tag.OBJECT);
      if (prototype === arrayPrototype && Array.isArray(value)) return this.#array(value);
      return this.#rich(value);
    }
    if (typeof value === "boolean") return this.writer.u8(value ? Tag.TRUE : Tag.FALSE);
    if (value === undefined) return this.writer.u8(Tag.UNDEFINED);
    if (typeof value === "bigint") return writeBigInt(this.writer, value, this.limits);
    if (typeof value !== "function" || !this.#extended(value)) throw unsupported(value);
  }

  string(text: string): void {
    const { writer } = this;
    const { length } = text;
    if (length > LOOP_CHARS) return this.#longString(text);
    writer.ensure(LOOP_CHARS + 1);
    const { bytes, at } = writer;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0xff) return this.#longString(text);
      bytes[at + 1 + i] = code;
    }
    bytes[at] = SHORT_STRING | length;
    writer.at = at + 1 + length;
  }

  /** Notes that `value` begins here. If it has been written already, a reference to it is written instead. */
  met(value: object): boolean {
    const { writer } = this;
    const place = this.references.meet(value, writer.at - this.start);
    if (place < 0) return false;
    writer.u8(Tag.REFERENCE);
    writer.u32(place);
    this.#referenced = true;
    return true;
  }

  enter(): void {
    if (++this.#depth > this.limits.maxDepth) throw tooDeep(this.limits.maxDepth);
  }

  leave(): void {
    this.#depth--;
  }

  /** Writes what can be written of a part, and takes it back if it cannot travel. */
  attempt(write: () => void): boolean {
    const { writer } = this;
    const { at } = writer;
    const depth = this.#depth;
    try {
      write();
      return true;
    } catch {
      writer.at = at;
      this.#depth = depth;
      this.references.rewind(at - this.start);
      writer.sink?.rewind(at);
      return false;
    }
  }

  #number(value: number): void {
    const { writer } = this;
    writer.ensure(9);
    const { bytes, at } = writer;
    const int = value | 0;
    if (int !== value || (int === 0 && 1 / value < 0)) {
      bytes[at] = Tag.DOUBLE;
      writer.view.setFloat64(at + 1, value, true);
      writer.at = at + 9;
    } else if (int >= 0 && int < SHORT_STRING) {
      bytes[at] = int;
      writer.at = at + 1;
    } else if (int >= -0x80 && int < 0x80) {
      bytes[at] = Tag.INT8;
      bytes[at + 1] = int;
      writer.at = at + 2;
    } else if (int >= -0x8000 && int < 0x8000) {
      bytes[at] = Tag.INT16;
      bytes[at + 1] = int;
      bytes[at + 2] = int >> 8;
      writer.at = at + 3;
    } else {
      bytes[at] = Tag.INT32;
      writer.view.setInt32(at + 1, int, true);
      writer.at = at + 5;
    }
  }

  #longString(text: string): void {
    const { writer } = this;
    const { length } = text;
    if (!text.isWellFormed()) return this.#utf16(text);
    if (length <= STRING8_CHARS) {
      writer.ensure(2 + STRING8_CHARS * 3);
      const { bytes, at } = writer;
      const written = nativeText.utf8Write(bytes, text, at + 2);
      bytes[at] = Tag.STRING8;
      bytes[at + 1] = written;
      writer.at = at + 2 + written;
      return;
    }
    writer.ensure(5 + (length > WORST_CASE_CHARS ? nativeText.utf8Length(text) : length * 3));
    const { bytes, at } = writer;
    const written = nativeText.utf8Write(bytes, text, at + 5);
    bytes[at] = Tag.STRING32;
    writer.view.setUint32(at + 1, written, true);
    writer.at = at + 5 + written;
  }

  /** UTF-8 has no lone surrogates. */
  #utf16(text: string): void {
    const { writer } = this;
    writer.ensure(5 + text.length * 2);
    writer.u8(Tag.STRING_UTF16);
    writer.u32(text.length * 2);
    for (let i = 0; i < text.length; i++) {
      writer.view.setUint16(writer.at, text.charCodeAt(i), true);
      writer.at += 2;
    }
  }

  #object(value: Record<string, unknown>, tag: number): void {
    if (this.met(value)) return;
    this.enter();
    this.writer.u8(tag);
    let at = "";
    try {
      // The engine reads `value[key]` without a look-up as long as the loop has exactly this form.
      for (const key in value) {
        if (this.#polluted && !hasOwnProperty.call(value, key)) continue;
        at = key;
        this.string(key);
        this.value(value[key]);
      }
    } catch (thrown) {
      throw Unsendable.at(thrown, at);
    }
    if (getOwnPropertySymbols(value).length > 0) refuseSymbols(value);
    this.writer.u8(Tag.END);
    this.leave();
  }

  #array(value: readonly unknown[]): void {
    if (this.met(value)) return;
    this.enter();
    // Other properties of an array are not looked for: that takes as long as writing it. The one kind of array that
    // has some without its owner's doing is what RegExp.exec gives.
    if ("index" in value)
      throw unsupportedBy(
        "structured",
        "an array with further properties (the result of a RegExp match?)",
        "send [...array], or an object",
      );
    this.#elements(value);
    this.leave();
  }

  #elements(value: readonly unknown[]): void {
    const { writer } = this;
    const { length } = value;
    if (length < SMALL_ARRAY_END - SMALL_ARRAY) {
      writer.u8(SMALL_ARRAY | length);
    } else {
      writer.u8(Tag.ARRAY);
      writer.u32(length);
    }
    let i = 0;
    let holes: Holes | undefined;
    try {
      while (i < length) {
        const element = value[i];
        if (element === undefined && !(i in value)) {
          i = (holes ??= new Holes(value, length)).write(writer, i);
        } else {
          this.value(element);
          i++;
        }
      }
    } catch (thrown) {
      throw Unsendable.at(thrown, i);
    }
  }

  #rich(value: object): void {
    if (this.#extended(value)) return;
    const kind = kindOf(value);
    switch (kind) {
      case "object":
        return this.#object(
          value as Record<string, unknown>,
          getPrototypeOf(value) === null ? Tag.NULL_OBJECT : Tag.OBJECT,
        );
      case "array":
        return this.#array(value as unknown[]);
      case "error":
        if (!this.met(value)) writeError(this, value as Error);
        return;
      case "view":
      case "buffer":
        if (!this.met(value)) writeBinary(this.writer, this.start, value as ArrayBufferView | ArrayBuffer);
        return;
      case "date":
      case "regexp":
      case "map":
      case "set":
        return this.#bare(value, kind);
      case "other":
        throw unsupported(value);
    }
  }

  #bare(value: object, kind: "date" | "regexp" | "map" | "set"): void {
    if (this.met(value)) return;
    checkBare(value, kind);
    if (kind === "date") writeDate(this.writer, value as Date);
    else if (kind === "regexp") writeRegExp(this, value as RegExp);
    else if (kind === "map") writeMap(this, value as Map<unknown, unknown>);
    else writeSet(this, value as Set<unknown>);
  }

  /** Writes a value for which the extension stands in. */
  #extended(value: object): boolean {
    const prototype = typeof value === "function" ? undefined : (getPrototypeOf(value) as unknown);
    if (prototype === null) return false;
    const description = this.#extension.describe(value);
    if (description === undefined) return false;
    if (this.met(value)) return true;
    this.enter();
    this.writer.u8(Tag.EXTENSION);
    this.value(description);
    this.leave();
    return true;
  }
}

function refuseSymbols(value: object): void {
  for (const symbol of getOwnPropertySymbols(value)) {
    if (!propertyIsEnumerable.call(value, symbol)) continue;
    throw unsupportedBy(
      "structured",
      `an object with a property named by a symbol, ${String(symbol)}`,
      "name it by a string",
    );
  }
}
