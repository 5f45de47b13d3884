import type { SerializationName } from "../../core/handle/call.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { ByteReader } from "./reader.ts";
import type { Root } from "./unsendable.ts";
import type { ByteWriter } from "./writer.ts";

export type { Root };

/**
 * One way to write values.
 *
 * Writing appends to the writer, or throws and takes back what it wrote. The first byte should stand at a multiple of 8
 * in its frame, so that large binary does too. Reading takes the reader's whole rest; what it gives does not refer to
 * the reader's bytes, unless they are `owned`.
 */
export interface Format {
  readonly name: SerializationName;
  /** Two bits in a frame's flags. */
  readonly number: number;
  /** @throws {SerializationError} if an argument cannot travel; its path begins with `args`. */
  encodeArgs(args: readonly unknown[], writer: ByteWriter): void;
  /** @throws {ProtocolError} */
  decodeArgs(reader: ByteReader): unknown[];
  /** @throws {SerializationError} if the value cannot travel; its path begins with `root`. */
  encode(value: unknown, writer: ByteWriter, root: Root): void;
  /** @throws {ProtocolError} */
  decode(reader: ByteReader): unknown;
}

/** The formats of a process, by name and by number. */
export class FormatTable {
  readonly #byNumber: readonly Format[];

  /** @param formats in the order of their numbers. */
  constructor(formats: readonly Format[]) {
    formats.forEach((format, number) => {
      if (format.number !== number)
        throw new Error(`The format "${format.name}" has the number ${format.number} but stands at ${number}.`);
    });
    this.#byNumber = formats;
  }

  /** The format in which errors travel, whatever their call's are. */
  get structured(): Format {
    return this.#byNumber[0]!;
  }

  byName(name: SerializationName): Format {
    // Four strings that are compared by identity: faster than any table.
    for (const format of this.#byNumber) if (format.name === name) return format;
    throw new Error(
      `There is no format "${name}"; there are ${this.#byNumber.map((format) => `"${format.name}"`).join(", ")}.`,
    );
  }

  byNumber(number: number): Format {
    const format = this.#byNumber[number];
    if (format === undefined)
      throw new ProtocolError(`A frame names format ${number}, which this process does not have.`);
    return format;
  }
}

/** @throws {ProtocolError} if a value did not take all that is left. */
export function checkEnd(reader: ByteReader): void {
  if (reader.at !== reader.end)
    throw new ProtocolError(`A value is followed by ${reader.end - reader.at} bytes that belong to nothing.`);
}

/** What was read as the arguments of a call. @throws {ProtocolError} if it cannot be that. */
export function asArgs(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new ProtocolError("The arguments of a call are no array.");
  return value;
}
