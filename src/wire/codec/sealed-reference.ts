import { ByteReader } from "./reader.ts";
import type { StructuredFormat } from "./structured.ts";
import { ByteWriter } from "./writer.ts";

/** The description of a handle as bytes, for formats that have no place for one: written in the structured format. */
export function sealReference(description: unknown, structured: StructuredFormat): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(256));
  structured.encode(description, writer, "result");
  return writer.copy();
}

/** The handle of a sealed description. */
export function openReference(sealed: Uint8Array, structured: StructuredFormat): unknown {
  return structured.extension.revive(structured.decode(new ByteReader(sealed)));
}
