import type { ValueExtension } from "../wire/codec/extension.ts";
import { FormatTable } from "../wire/codec/format.ts";
import { JsonFormat } from "../wire/codec/json.ts";
import { StructuredFormat } from "../wire/codec/structured.ts";
import type { Limits } from "../wire/limits.ts";
import { MsgpackFormat } from "./msgpack.ts";
import { V8Format } from "./v8.ts";

/**
 * The four formats, with the same handles and the same limits.
 *
 * @param extension what travels by reference. @default nothing
 */
export function formats(extension?: ValueExtension, limits?: Limits): FormatTable {
  const structured = new StructuredFormat({ ...(extension && { extension }), ...(limits && { limits }) });
  return new FormatTable([
    structured,
    new V8Format(structured),
    new MsgpackFormat(structured),
    new JsonFormat(structured),
  ]);
}
