import type { ApplicationSpec } from "../core/deployment/spec.ts";
import { ByteWriter } from "../wire/codec/writer.ts";
import type { FormatTable } from "../wire/codec/format.ts";

/**
 * A constructor argument or a `userConfig` that cannot travel is an error of whoever deploys, not of each replica's start.
 *
 * @throws {SerializationError}
 */
export function checkTravels({ deployments }: Pick<ApplicationSpec, "deployments">, formats: FormatTable): void {
  const structured = formats.byName("structured");
  for (const { initArgs, options } of deployments) {
    structured.encodeArgs(initArgs, new ByteWriter(new Uint8Array(256)));
    if (options.userConfig !== undefined)
      structured.encode(options.userConfig.value, new ByteWriter(new Uint8Array(256)), "result");
  }
}
