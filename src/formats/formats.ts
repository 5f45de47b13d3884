import type { ValueExtension } from "../wire/codec/extension.ts";
import { FormatTable } from "../wire/codec/format.ts";
import { StructuredFormat } from "../wire/codec/structured.ts";
import { defaultLimits, type Limits } from "../wire/limits.ts";

/** The formats that a process can read and write. */
export function formats(extension: ValueExtension, limits: Limits = defaultLimits): FormatTable {
  return new FormatTable([new StructuredFormat({ limits, extension })]);
}
