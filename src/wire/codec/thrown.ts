import { HeliostatError } from "../../core/errors.ts";
import type { FormatTable } from "./format.ts";
import type { ByteReader } from "./reader.ts";
import type { ByteWriter } from "./writer.ts";

/**
 * Writes what a call failed with, error or not, in the structured format whatever the call's own formats are.
 *
 * What cannot travel is told about by an error in its place: a failure always arrives.
 */
export function encodeThrown(thrown: unknown, writer: ByteWriter, formats: FormatTable): void {
  const { at, sink } = writer;
  // An error must arrive whatever becomes of memory.
  writer.sink = undefined;
  try {
    formats.structured.encode(thrown, writer, "result");
  } catch (cause) {
    writer.at = at;
    const told = new HeliostatError(
      `Something was thrown that cannot travel: ${describe(thrown)}. Throw an Error instead. (${textOf(cause)})`,
    );
    formats.structured.encode(told, writer, "result");
  } finally {
    writer.sink = sink;
  }
}

/** What `encodeThrown` wrote: an error made anew, or the value that was thrown. */
export function decodeThrown(reader: ByteReader, formats: FormatTable): unknown {
  return formats.structured.decode(reader);
}

function describe(thrown: unknown): string {
  const text =
    thrown instanceof Error
      ? textOf(thrown)
      : typeof thrown === "function"
        ? `a function ${thrown.name}`
        : textOf(thrown);
  return text.length > 1_000 ? `${text.slice(0, 1_000)}…` : text;
}

function textOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  } catch {
    return "a value without text";
  }
}
