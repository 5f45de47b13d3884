import type { Limits } from "../limits.ts";
import type { ValueEncoder } from "./encoder.ts";
import type { Kind } from "./kinds.ts";
import { Tag } from "./tags.ts";
import { Unsendable } from "./unsendable.ts";
import type { ByteWriter } from "./writer.ts";

const { getTime } = Date.prototype;
const sourceOf = getter(RegExp.prototype, "source");
const flagsOf = getter(RegExp.prototype, "flags");

/** The built-ins' data is in slots of theirs; a property that somebody put on one would be lost. */
export function checkBare(value: object, kind: Kind): void {
  const keys = Object.keys(value);
  if (keys.length > 0)
    throw new Unsendable(
      `is a ${kind} with a property of its own, ${JSON.stringify(keys[0])}, which would be lost; send both in a plain object`,
    );
}

export function writeDate(writer: ByteWriter, value: Date): void {
  const time = getTime.call(value);
  writer.u8(Tag.DATE);
  writer.f64(time);
}

export function writeRegExp(encoder: ValueEncoder, value: RegExp): void {
  const source = sourceOf(value);
  const flags = flagsOf(value);
  encoder.writer.u8(Tag.REGEXP);
  encoder.string(source);
  encoder.string(flags);
  encoder.writer.f64(Number(value.lastIndex));
}

export function writeMap(encoder: ValueEncoder, value: ReadonlyMap<unknown, unknown>): void {
  const { writer } = encoder;
  encoder.enter();
  writer.u8(Tag.MAP);
  let of: "key" | "value" = "key";
  let key: unknown;
  try {
    Map.prototype.forEach.call(value, (member, memberKey) => {
      key = memberKey;
      of = "key";
      encoder.value(memberKey);
      of = "value";
      encoder.value(member);
    });
  } catch (thrown) {
    throw Unsendable.at(thrown, { of, key });
  }
  writer.u8(Tag.END);
  encoder.leave();
}

export function writeSet(encoder: ValueEncoder, value: ReadonlySet<unknown>): void {
  const { writer } = encoder;
  encoder.enter();
  writer.u8(Tag.SET);
  let key: unknown;
  try {
    Set.prototype.forEach.call(value, (member) => {
      key = member;
      encoder.value(member);
    });
  } catch (thrown) {
    throw Unsendable.at(thrown, { of: "member", key });
  }
  writer.u8(Tag.END);
  encoder.leave();
}

/** Sign, number of bytes, magnitude with the lowest byte first. */
export function writeBigInt(writer: ByteWriter, value: bigint, limits: Limits): void {
  const negative = value < 0n;
  const hex = (negative ? -value : value).toString(16);
  const count = value === 0n ? 0 : (hex.length + 1) >> 1;
  if (count > limits.maxBigIntBytes)
    throw new Unsendable(
      `is a BigInt of ${count} bytes; the limit is ${limits.maxBigIntBytes}. Send its digits as binary`,
    );
  writer.ensure(6 + count);
  writer.u8(Tag.BIGINT);
  writer.u8(negative ? 1 : 0);
  writer.u32(count);
  for (let i = 0; i < count; i++) {
    const end = hex.length - 2 * i;
    writer.bytes[writer.at++] = Number.parseInt(hex.slice(Math.max(0, end - 2), end), 16);
  }
}

/** How many holes in a row are walked before the array is taken to be sparse. */
const WALKED_HOLES = 1_024;

/** Finds and writes the runs of holes of one array, from its start to its end. */
export class Holes {
  readonly #value: readonly unknown[];
  readonly #length: number;
  /** The array's keys, once it is known to be sparse: it may have four thousand million slots and one element. */
  #keys: string[] | undefined = undefined;
  #key = 0;

  constructor(value: readonly unknown[], length: number) {
    this.#value = value;
    this.#length = length;
  }

  /** Writes the run that begins at `index`; returns where it ends. */
  write(writer: ByteWriter, index: number): number {
    let end = index + 1;
    const walkEnd = Math.min(this.#length, index + WALKED_HOLES);
    while (end < walkEnd && !(end in this.#value)) end++;
    if (end === walkEnd) end = this.#nextIndex(end);
    writer.u8(Tag.HOLES);
    writer.u32(end - index);
    return end;
  }

  #nextIndex(from: number): number {
    // Indices come first and in ascending order.
    const keys = (this.#keys ??= Object.keys(this.#value));
    while (this.#key < keys.length && Number(keys[this.#key]) < from) this.#key++;
    const index = Number(keys[this.#key] ?? this.#length);
    return index < this.#length ? index : this.#length;
  }
}

function getter(prototype: object, name: string): (value: RegExp) => string {
  const get = Object.getOwnPropertyDescriptor(prototype, name)!.get as (this: RegExp) => string;
  return (value) => get.call(value);
}
