import { createRequire } from "node:module";
import { ProtocolError } from "../core/errors.ts";
import { bytesOf } from "../wire/codec/binary.ts";
import { asArgs, type Format } from "../wire/codec/format.ts";
import type { Kind } from "../wire/codec/kinds.ts";
import { type CopyRules, PlainCopy } from "../wire/codec/plain-copy.ts";
import type { ByteReader } from "../wire/codec/reader.ts";
import { openReference, sealReference } from "../wire/codec/sealed-reference.ts";
import type { StructuredFormat } from "../wire/codec/structured.ts";
import { type Root, Unsendable } from "../wire/codec/unsendable.ts";
import { unsupportedBy } from "../wire/codec/unsupported.ts";
import type { ByteWriter } from "../wire/codec/writer.ts";
import { checkMsgpack } from "./msgpack-check.ts";

/** Type of the MessagePack extension for what the library would change on its way: "h". */
const BOX_TYPE = 0x68;

/** A value that the library would change, as something that it does not. */
class Box {
  readonly content:
    | readonly ["map" | "object", readonly (readonly [unknown, unknown])[]]
    | readonly ["-0"]
    | readonly ["handle", Uint8Array];

  constructor(content: Box["content"]) {
    this.content = content;
  }
}

interface Library {
  pack(value: unknown): Uint8Array;
  unpack(bytes: Uint8Array): unknown;
}

/** MessagePack, for peers that have a library for it. Loaded at the first use: most processes never need it. */
export class MsgpackFormat implements Format {
  readonly name = "msgpack";
  readonly number = 2;
  readonly #structured: StructuredFormat;
  readonly #rules: CopyRules;

  /** @param structured for handles, its limits and its extension. */
  constructor(structured: StructuredFormat) {
    this.#structured = structured;
    this.#rules = {
      format: "msgpack",
      limits: structured.limits,
      extension: structured.extension,
      kinds: new Set<Kind>(["date", "regexp", "map", "set", "buffer", "view"]),
      references: false,
      holes: false,
      primitive,
      rich,
      reference: (description) => new Box(["handle", sealReference(description, structured)]),
      // The library renames this key.
      object: (copy) => (Object.hasOwn(copy, "__proto__") ? new Box(["object", Object.entries(copy)]) : copy),
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
    const bytes = reader.copy();
    // The library makes room for what lengths promise, and knows types that call functions by name.
    checkMsgpack(bytes, { maxDepth: 3 * this.#structured.limits.maxDepth, boxType: BOX_TYPE });
    const opener = boxes;
    try {
      const { unpack } = loadLibrary();
      boxes = this.#structured;
      return unpack(bytes);
    } catch (thrown) {
      if (thrown instanceof ProtocolError) throw thrown;
      throw new ProtocolError(`A message is no MessagePack: ${String(thrown)}`, { cause: thrown });
    } finally {
      boxes = opener;
    }
  }

  #encode(value: unknown, writer: ByteWriter, root: Root): void {
    const start = writer.at;
    try {
      const copy = new PlainCopy(this.#rules).value(value);
      writer.limit = start + this.#structured.limits.maxMessageBytes;
      writer.append(loadLibrary().pack(copy));
      writer.checkLimit();
    } catch (thrown) {
      writer.at = start;
      throw Unsendable.from(thrown).toError(root);
    } finally {
      writer.limit = Infinity;
    }
  }
}

/** Whose handles are revived by the decoding at hand: the library's extensions belong to the process, not to a format. */
let boxes: StructuredFormat | undefined;
let library: Library | undefined;

function loadLibrary(): Library {
  if (library !== undefined) return library;
  const { addExtension, Packr } = createRequire(import.meta.url)("msgpackr") as typeof import("msgpackr");
  const packr = new Packr({
    useRecords: false,
    mapsAsObjects: true,
    moreTypes: true,
    int64AsType: "bigint",
    useToJSON: false,
  });
  addExtension({ Class: Box, type: BOX_TYPE, write: (box: Box) => box.content, read: openBox });
  library = { pack: (value) => packr.pack(value), unpack: (bytes) => packr.unpack(bytes) as unknown };
  return library;
}

function openBox(content: unknown): unknown {
  const [kind, inner] = Array.isArray(content) ? (content as unknown[]) : [];
  if (kind === "-0") return -0;
  if (kind === "handle" && inner instanceof Uint8Array && boxes !== undefined) return openReference(inner, boxes);
  if (
    (kind === "map" || kind === "object") &&
    Array.isArray(inner) &&
    inner.every((entry) => Array.isArray(entry) && entry.length === 2)
  ) {
    // `fromEntries` defines properties, so no name is special to it.
    return kind === "map" ? new Map(inner as [unknown, unknown][]) : Object.fromEntries(inner as [string, unknown][]);
  }
  throw new ProtocolError("A message holds a MessagePack extension of heliostat's that cannot be read.");
}

function primitive(value: unknown): unknown {
  if (typeof value === "string" && !value.isWellFormed())
    throw unsupportedBy(
      "msgpack",
      "a string with half a surrogate pair",
      'use the "structured" format, or send value.toWellFormed()',
    );
  return Object.is(value, -0) ? new Box(["-0"]) : value;
}

function rich(value: object, kind: Kind): unknown {
  if (kind === "map") return new Box(["map", [...(value as Map<unknown, unknown>)]]);
  if (kind !== "view") return value;
  if ((value as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] === "Float16Array")
    throw unsupportedBy("msgpack", "a Float16Array");
  // A Buffer must arrive as what it would arrive in every format.
  return value instanceof Uint8Array && !(value instanceof Uint8ClampedArray)
    ? bytesOf(new DataView(value.buffer, value.byteOffset, value.byteLength))
    : value;
}
