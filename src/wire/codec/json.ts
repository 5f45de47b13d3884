import { ProtocolError } from "../../core/errors.ts";
import type { Format } from "./format.ts";
import { type CopyRules, PlainCopy } from "./plain-copy.ts";
import type { ByteReader } from "./reader.ts";
import { openReference, sealReference } from "./sealed-reference.ts";
import type { StructuredFormat } from "./structured.ts";
import { type Root, Unsendable } from "./unsendable.ts";
import { unsupportedBy } from "./unsupported.ts";
import type { ByteWriter } from "./writer.ts";

/** The name of the only property of an object that stands for a handle; a user's object with this name is wrapped in another such. */
const MARK = "$heliostat";
/** With fewer bytes than this nothing can be nested too deep. */
const shallowBytes = (maxDepth: number): number => 2 * maxDepth;

/** Values as JSON text in UTF-8, for peers and logs that read nothing else. No text stands for undefined. */
export class JsonFormat implements Format {
  readonly name = "json";
  readonly number = 3;
  readonly #structured: StructuredFormat;
  readonly #rules: CopyRules;

  /** @param structured for handles, its limits and its extension. */
  constructor(structured: StructuredFormat) {
    this.#structured = structured;
    this.#rules = {
      format: "json",
      limits: structured.limits,
      extension: structured.extension,
      kinds: new Set(),
      references: false,
      holes: false,
      primitive,
      rich: (value) => value,
      reference: (description) => ({ [MARK]: hexOf(sealReference(description, structured)) }),
      object: (copy) => (Object.hasOwn(copy, MARK) ? { [MARK]: [copy] } : copy),
    };
  }

  encodeArgs(args: readonly unknown[], writer: ByteWriter): void {
    const copy = new PlainCopy(this.#rules);
    const missing: number[] = [];
    const copies: unknown[] = [];
    for (let i = 0; i < args.length; i++) {
      if (args[i] === undefined) missing.push(i);
      try {
        copies.push(copy.value(args[i]));
      } catch (thrown) {
        throw Unsendable.at(thrown, i).toError("args");
      }
    }
    // An array has no undefined in JSON, but a call may leave out an argument in the middle.
    this.#write(
      missing.length === 0 ? copies : { args: copies.map((arg) => arg ?? null), undefined: missing },
      writer,
      "args",
    );
  }

  encode(value: unknown, writer: ByteWriter, root: Root): void {
    let copy: unknown;
    try {
      copy = new PlainCopy(this.#rules).value(value);
    } catch (thrown) {
      throw Unsendable.from(thrown).toError(root);
    }
    if (copy !== undefined) this.#write(copy, writer, root);
  }

  decodeArgs(reader: ByteReader): unknown[] {
    const value = this.decode(reader);
    if (Array.isArray(value)) return value;
    const { args, undefined: missing } = (value ?? {}) as { args?: unknown; undefined?: unknown };
    if (!Array.isArray(args) || !Array.isArray(missing))
      throw new ProtocolError("The arguments of a call are no array.");
    for (const index of missing) {
      if (!(Number.isInteger(index) && index >= 0 && index < args.length))
        throw new ProtocolError("The arguments of a call lack one that is not there.");
      args[index as number] = undefined;
    }
    return args;
  }

  decode(reader: ByteReader): unknown {
    if (reader.at === reader.end) return undefined;
    const text = reader.utf8(reader.end - reader.at);
    try {
      checkDepth(text, this.#structured.limits.maxDepth);
      const value = JSON.parse(text) as unknown;
      return text.includes(MARK) ? this.#unmark(value) : value;
    } catch (thrown) {
      if (thrown instanceof ProtocolError) throw thrown;
      throw new ProtocolError(`A message is no JSON: ${String(thrown)}`, { cause: thrown });
    }
  }

  #write(value: unknown, writer: ByteWriter, root: Root): void {
    const start = writer.at;
    const { maxMessageBytes } = this.#structured.limits;
    try {
      writer.limit = start + maxMessageBytes;
      writer.utf8(JSON.stringify(value));
      writer.checkLimit();
    } catch (thrown) {
      writer.at = start;
      throw Unsendable.from(thrown).toError(root);
    } finally {
      writer.limit = Infinity;
    }
  }

  #unmark(value: unknown): unknown {
    if (typeof value !== "object" || value === null) return value;
    const mark = Object.hasOwn(value, MARK) ? (value as Record<string, unknown>)[MARK] : undefined;
    if (typeof mark === "string") return openReference(bytesOfHex(mark), this.#structured);
    const object = (Array.isArray(mark) ? mark[0] : value) as Record<string, unknown>;
    for (const key of Object.keys(object)) {
      const inner: unknown = this.#unmark(object[key]);
      if (inner !== object[key])
        Object.defineProperty(object, key, { value: inner, enumerable: true, configurable: true, writable: true });
    }
    return object;
  }
}

function primitive(value: unknown, place: "property" | "element"): unknown {
  if (typeof value === "bigint")
    throw unsupportedBy("json", "a BigInt", 'use the "structured" format, or send it as a string');
  if (typeof value === "number" && !Number.isFinite(value))
    throw unsupportedBy("json", String(value), 'use the "structured" format, or send null');
  if (value === undefined && place === "element")
    throw unsupportedBy("json", "undefined in an array", 'use the "structured" format, or send null');
  return value;
}

/** The parser has no limit of its own, but what works on the value afterwards may recurse. */
function checkDepth(text: string, maxDepth: number): void {
  if (text.length <= shallowBytes(maxDepth)) return;
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (token === "[" || token === "{") depth++;
    else if (token === "]" || token === "}") depth--;
    // Its own array of arguments is one level more.
    if (depth > maxDepth + 1) throw new ProtocolError(`A message is nested deeper than ${maxDepth} levels, the limit.`);
  }
}

function hexOf(bytes: Uint8Array): string {
  let hex = "";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return hex;
}

function bytesOfHex(hex: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/.test(hex)) throw new ProtocolError("A message holds a handle that cannot be read.");
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}
