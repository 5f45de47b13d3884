import { defaultLimits, type Limits } from "../limits.ts";
import { ValueDecoder } from "./decoder.ts";
import { ValueEncoder } from "./encoder.ts";
import { noExtension, type ValueExtension } from "./extension.ts";
import { asArgs, checkEnd, type Format } from "./format.ts";
import type { ByteReader } from "./reader.ts";
import { type Root, Unsendable } from "./unsendable.ts";
import type { ByteWriter } from "./writer.ts";

export interface FormatOptions {
  /** @default defaultLimits */
  readonly limits?: Limits;
  /** @default noExtension */
  readonly extension?: ValueExtension;
}

/** The default format: heliostat's own, specified in `PROTOCOL-values.md`. */
export class StructuredFormat implements Format {
  readonly name = "structured";
  readonly number = 0;
  readonly limits: Limits;
  readonly extension: ValueExtension;
  readonly #encoder: ValueEncoder;
  readonly #decoder: ValueDecoder;

  constructor(options: FormatOptions = {}) {
    this.limits = options.limits ?? defaultLimits;
    this.extension = options.extension ?? noExtension;
    this.#encoder = new ValueEncoder(this.limits, this.extension);
    this.#decoder = new ValueDecoder(this.limits, this.extension);
  }

  encodeArgs(args: readonly unknown[], writer: ByteWriter): void {
    this.#encode(args, writer, "args", true);
  }

  encode(value: unknown, writer: ByteWriter, root: Root): void {
    this.#encode(value, writer, root, false);
  }

  decodeArgs(reader: ByteReader): unknown[] {
    return asArgs(this.#decode(reader, true));
  }

  decode(reader: ByteReader): unknown {
    return this.#decode(reader, false);
  }

  #decode(reader: ByteReader, isArgs: boolean): unknown {
    // A handle that is revived may decode something itself.
    const decoder = this.#decoder.busy ? new ValueDecoder(this.limits, this.extension) : this.#decoder;
    const value = decoder.message(reader, isArgs);
    checkEnd(reader);
    return value;
  }

  #encode(value: unknown, writer: ByteWriter, root: Root, isArgs: boolean): void {
    // A getter may make a call.
    const encoder = this.#encoder.busy ? new ValueEncoder(this.limits, this.extension) : this.#encoder;
    try {
      encoder.message(value, isArgs, writer);
    } catch (thrown) {
      throw Unsendable.from(thrown).toError(root);
    }
  }
}
