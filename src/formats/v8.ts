import { ProtocolError } from "../core/errors.ts";
import { binaryFrom, binaryKind, bytesOf } from "../wire/codec/binary.ts";
import { Base, baseOf, nativeBase } from "../wire/codec/error-classes.ts";
import { asArgs, type Format } from "../wire/codec/format.ts";
import type { Kind } from "../wire/codec/kinds.ts";
import { type CopyRules, type Inside, PlainCopy } from "../wire/codec/plain-copy.ts";
import type { ByteReader } from "../wire/codec/reader.ts";
import { openReference, sealReference } from "../wire/codec/sealed-reference.ts";
import type { StructuredFormat } from "../wire/codec/structured.ts";
import { type Root, Unsendable } from "../wire/codec/unsendable.ts";
import type { ByteWriter } from "../wire/codec/writer.ts";

/** What stands before the bytes of a handle, where binary has the number of its kind. */
const REFERENCE = 255;

/** A handle's description on its way through V8, which asks about nothing but views of memory. */
class ReferenceBytes extends Uint8Array {}

/** Values as V8 serializes them for itself; both sides must run the same engine. */
export class V8Format implements Format {
  readonly name = "v8";
  readonly number = 1;
  readonly #structured: StructuredFormat;
  readonly #rules: CopyRules;

  /** @param structured for handles, its limits and its extension. */
  constructor(structured: StructuredFormat) {
    this.#structured = structured;
    this.#rules = {
      format: "v8",
      limits: structured.limits,
      extension: structured.extension,
      kinds: new Set<Kind>(["date", "regexp", "map", "set", "buffer", "view", "error"]),
      references: true,
      holes: true,
      primitive: (value) => value,
      rich: (value, kind, inside) => (kind === "error" ? plainError(value as Error, inside) : value),
      reference: (description) => new ReferenceBytes(sealReference(description, structured)),
    };
  }

  encodeArgs(args: readonly unknown[], writer: ByteWriter): void {
    this.#encode(args, writer, "args");
  }

  encode(value: unknown, writer: ByteWriter, root: Root): void {
    this.#encode(value, writer, root);
  }

  decodeArgs(reader: ByteReader): unknown[] {
    return asArgs(this.decode(reader));
  }

  decode(reader: ByteReader): unknown {
    try {
      const deserializer = new (library().ViewDeserializer)(reader.copy());
      deserializer.structured = this.#structured;
      deserializer.readHeader();
      return deserializer.readValue();
    } catch (thrown) {
      if (thrown instanceof ProtocolError) throw thrown;
      throw new ProtocolError(`A message is not what V8 writes: ${String(thrown)}`, { cause: thrown });
    }
  }

  #encode(value: unknown, writer: ByteWriter, root: Root): void {
    const start = writer.at;
    try {
      const copy = new PlainCopy(this.#rules).value(value);
      const serializer = new (library().ViewSerializer)();
      serializer.writeHeader();
      serializer.writeValue(copy);
      writer.limit = start + this.#structured.limits.maxMessageBytes;
      writer.append(serializer.releaseBuffer());
      writer.checkLimit();
    } catch (thrown) {
      writer.at = start;
      throw Unsendable.from(thrown).toError(root);
    } finally {
      writer.limit = Infinity;
    }
  }
}

let loaded: ReturnType<typeof load> | undefined;

/** Loaded at the first use: most processes never need it, and it takes part of the time in which a replica starts. */
function library(): ReturnType<typeof load> {
  return (loaded ??= load());
}

function load() {
  const { DefaultDeserializer, DefaultSerializer } = process.getBuiltinModule("node:v8");

  /** Writes of a view only what it shows: V8 itself would write all the memory behind it, such as the pool of small Buffers. */
  class ViewSerializer extends DefaultSerializer {
    /** Called by V8 for each view. */
    _writeHostObject(view: ArrayBufferView): void {
      const bytes = bytesOf(view);
      this.writeUint32(view instanceof ReferenceBytes ? REFERENCE : binaryKind(view));
      this.writeUint32(bytes.byteLength);
      this.writeRawBytes(bytes);
    }
  }

  class ViewDeserializer extends DefaultDeserializer {
    structured!: StructuredFormat;

    _readHostObject(): unknown {
      const kind = this.readUint32();
      const bytes = this.readRawBytes(this.readUint32());
      return kind === REFERENCE ? openReference(bytes, this.structured) : binaryFrom(kind, bytes);
    }
  }

  return { ViewSerializer, ViewDeserializer };
}

/** What V8 keeps of an error: its built-in class, message, stack and cause. */
function plainError(error: Error, inside: Inside): Error {
  const base = baseOf(error);
  const made = Reflect.construct(
    Error,
    [String(error.message)],
    base < Base.AGGREGATE ? nativeBase(base) : Error,
  ) as Error;
  inside.begins(made);
  Object.defineProperty(made, "stack", { value: error.stack, writable: true, configurable: true });
  if ("cause" in error)
    Object.defineProperty(made, "cause", { value: inside.copy(error.cause), writable: true, configurable: true });
  return made;
}
