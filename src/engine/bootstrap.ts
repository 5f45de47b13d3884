import type { ReplicaSpec } from "../core/deployment/spec.ts";
import type { FormatTable } from "../wire/codec/format.ts";
import { ByteReader } from "../wire/codec/reader.ts";
import { ByteWriter } from "../wire/codec/writer.ts";

/** What a new replica is given: on its standard input or as a message, never on its command line or in its environment, where others can read it. */
export interface Bootstrap {
  readonly controlPath: string;
  readonly token: Uint8Array;
  /** Where the replica is to listen. */
  readonly socketPath: string;
  /** The process id of the driver: whose threads share a process. */
  readonly driverPid: number;
  /** How long the replica waits for another controller when its own is gone; 0: it ends with it. */
  readonly adoptionMs: number;
  readonly spec: Omit<ReplicaSpec, "target">;
}

/** @throws {SerializationError} if a constructor argument or the userConfig cannot travel. */
export function encodeBootstrap(bootstrap: Bootstrap, formats: FormatTable): Uint8Array {
  const out = new ByteWriter(new Uint8Array(1024));
  formats.byName("structured").encode(bootstrap, out, "result");
  return out.bytes.slice(0, out.at);
}

export function decodeBootstrap(bytes: Uint8Array, formats: FormatTable): Bootstrap {
  return formats.byName("structured").decode(new ByteReader(bytes, 0, bytes.byteLength)) as Bootstrap;
}
