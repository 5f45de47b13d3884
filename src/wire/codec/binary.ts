import { ProtocolError } from "../../core/errors.ts";
import type { ByteReader } from "./reader.ts";
import { ALIGNED_BYTES, Header, SHARED_BYTES, Tag } from "./tags.ts";
import { Unsendable } from "./unsendable.ts";
import type { ByteWriter } from "./writer.ts";

type View = new (buffer: ArrayBuffer, byteOffset: number, length: number) => ArrayBufferView;

/** A kind of binary by its number on the wire. */
interface BinaryKind {
  readonly name: string;
  readonly bytesPerElement: number;
  /** Undefined for an ArrayBuffer, and for what this runtime does not have. */
  readonly view: View | undefined;
}

const kinds: readonly BinaryKind[] = [
  { name: "ArrayBuffer", bytesPerElement: 1, view: undefined },
  { name: "DataView", bytesPerElement: 1, view: DataView as View },
  kind("Int8Array", 1),
  kind("Uint8Array", 1),
  kind("Uint8ClampedArray", 1),
  kind("Int16Array", 2),
  kind("Uint16Array", 2),
  kind("Int32Array", 4),
  kind("Uint32Array", 4),
  kind("BigInt64Array", 8),
  kind("BigUint64Array", 8),
  kind("Float16Array", 2),
  kind("Float32Array", 4),
  kind("Float64Array", 8),
];

const numbers: ReadonlyMap<string, number> = new Map(kinds.map(({ name }, number) => [name, number]));

/** The name of a typed array's built-in class; undefined for a DataView. It cannot be overridden, and is right for a Buffer. */
const nameOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)!
  .get as (this: ArrayBufferView) => string | undefined;

/** From here on a copy without zeroing first pays for its call. */
const SLICED_BYTES = 1_024;

/** The number of the kind of a view or buffer. */
export function binaryKind(value: ArrayBufferView | ArrayBuffer): number {
  if (!ArrayBuffer.isView(value)) return 0;
  return numbers.get(nameOf.call(value) ?? "DataView")!;
}

/** The bytes behind a view or buffer, not copied. */
export function bytesOf(value: ArrayBufferView | ArrayBuffer): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value);
}

/** @throws {Unsendable} if the memory is gone, or could not arrive as what it is. */
export function checkBinary(value: ArrayBufferView | ArrayBuffer): void {
  const buffer = (ArrayBuffer.isView(value) ? value.buffer : value) as ArrayBuffer & {
    detached?: boolean;
    resizable?: boolean;
  };
  if (buffer.detached === true)
    throw new Unsendable("refers to memory that was transferred elsewhere; send it before, or send a copy");
  if (buffer === value && buffer.resizable === true)
    throw new Unsendable("is a resizable ArrayBuffer; send value.slice(), which is of fixed size");
}

/** Kind, number of bytes, padding if it is large, bytes. */
export function writeBinary(writer: ByteWriter, messageStart: number, value: ArrayBufferView | ArrayBuffer): void {
  checkBinary(value);
  const bytes = bytesOf(value);
  const { length } = bytes;
  if (length >= SHARED_BYTES && writer.sink !== undefined && share(writer, messageStart, binaryKind(value), bytes))
    return;
  writer.ensure(6);
  writer.bytes[writer.at] = Tag.BINARY;
  writer.bytes[writer.at + 1] = binaryKind(value);
  writer.view.setUint32(writer.at + 2, length, true);
  writer.at += 6;
  if (length >= ALIGNED_BYTES) {
    const padding = -(writer.at + 1 - messageStart) & 7;
    writer.ensure(8 + length);
    writer.bytes[writer.at++] = padding;
    for (let i = 0; i < padding; i++) writer.bytes[writer.at++] = 0;
  }
  writer.append(bytes);
}

/** Tag, kind, number of bytes, and where they are, if the writer has somewhere to put them. */
function share(writer: ByteWriter, messageStart: number, kind: number, bytes: Uint8Array): boolean {
  const region = writer.at + bytes.length > writer.limit ? undefined : writer.sink!.take(bytes, writer.at);
  if (region === undefined) return false;
  // Where a value travels does not change how large the message may be.
  writer.limit -= bytes.length;
  writer.ensure(14);
  writer.bytes[messageStart]! |= Header.SHARED;
  writer.bytes[writer.at] = Tag.SHARED;
  writer.bytes[writer.at + 1] = kind;
  writer.view.setUint32(writer.at + 2, bytes.length, true);
  writer.view.setUint32(writer.at + 6, region.id, true);
  writer.view.setUint32(writer.at + 10, region.place, true);
  writer.at += 14;
  return true;
}

/** What follows the tag, in memory of its own unless the message is and it is large. */
export function readBinary(reader: ByteReader): ArrayBufferView | ArrayBuffer {
  const kind = kinds[reader.u8()];
  const length = reader.u32();
  if (kind === undefined || length % kind.bytesPerElement !== 0)
    throw new ProtocolError("A message holds binary of an unknown kind, or with a part of an element.");
  if (length >= ALIGNED_BYTES) {
    const padding = reader.u8();
    if (padding > 7) throw new ProtocolError("A message holds binary with too much padding.");
    reader.take(padding);
  }
  const at = reader.take(length);
  return makeBinary(kind, reader, at, length);
}

/** A view or buffer of a kind, with a copy of `bytes`. */
export function binaryFrom(number: number, bytes: Uint8Array): ArrayBufferView | ArrayBuffer {
  const kind = kinds[number];
  if (kind === undefined || bytes.length % kind.bytesPerElement !== 0)
    throw new ProtocolError("A message holds binary of an unknown kind, or with a part of an element.");
  return makeBinary(kind, { bytes, owned: false }, 0, bytes.length);
}

/** A view or buffer of a kind over memory that begins with its bytes; for an ArrayBuffer it must hold nothing else. */
export function binaryOver(number: number, buffer: ArrayBuffer, length: number): ArrayBufferView | ArrayBuffer {
  const kind = kinds[number];
  if (kind === undefined || length % kind.bytesPerElement !== 0)
    throw new ProtocolError("A message holds binary of an unknown kind, or with a part of an element.");
  if (number === 0) return buffer;
  if (kind.view === undefined) throw notHere(kind);
  return new kind.view(buffer, 0, length / kind.bytesPerElement);
}

function makeBinary(
  kind: BinaryKind,
  reader: Pick<ByteReader, "bytes" | "owned">,
  at: number,
  length: number,
): ArrayBufferView | ArrayBuffer {
  const { bytes } = reader;
  const offset = bytes.byteOffset + at;
  const count = length / kind.bytesPerElement;
  const { view: View } = kind;
  if (View === undefined) {
    if (kind.name !== "ArrayBuffer") throw notHere(kind);
    return copyOf(bytes, at, length);
  }
  const { buffer } = bytes;
  if (reader.owned && length >= ALIGNED_BYTES && offset % kind.bytesPerElement === 0 && buffer instanceof ArrayBuffer) {
    return new View(buffer, offset, count);
  }
  return new View(copyOf(bytes, at, length), 0, count);
}

function copyOf(bytes: Uint8Array, at: number, length: number): ArrayBuffer {
  if (length >= SLICED_BYTES && bytes.buffer instanceof ArrayBuffer)
    return bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + at + length);
  const copy = new Uint8Array(length);
  for (let i = 0; i < length; i++) copy[i] = bytes[at + i]!;
  return copy.buffer;
}

function notHere({ name }: BinaryKind): ProtocolError {
  return new ProtocolError(
    `A message holds a ${name}, which this runtime does not have. Use the same version of Node on both sides.`,
  );
}

function kind(name: string, bytesPerElement: number): BinaryKind {
  return { name, bytesPerElement, view: (globalThis as unknown as Record<string, View | undefined>)[name] };
}
