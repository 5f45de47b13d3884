import { HandleReference } from "../core/deployment/spec.ts";
import { formats } from "./formats.ts";
import type { FormatTable } from "../wire/codec/format.ts";
import { ByteReader } from "../wire/codec/reader.ts";
import { ByteWriter } from "../wire/codec/writer.ts";

/** Formats in which the handles among constructor arguments stay what they are in a spec: references. */
export function specFormats(): FormatTable {
  return formats({
    describe: (value) =>
      value instanceof HandleReference ? { app: value.app, deployment: value.deployment } : undefined,
    revive(data) {
      const { app, deployment } = data as HandleReference;
      return new HandleReference(app, deployment);
    },
  });
}

export function encodeValue(value: unknown, table: FormatTable): Uint8Array {
  const out = new ByteWriter(new Uint8Array(4096));
  table.byName("structured").encode(value, out, "result");
  return out.bytes.slice(0, out.at);
}

export function decodeValue(bytes: Uint8Array, table: FormatTable): unknown {
  return table.byName("structured").decode(new ByteReader(bytes, 0, bytes.byteLength));
}
