import { ProtocolError } from "../../core/errors.ts";
import { binaryOver } from "./binary.ts";
import type { ByteReader } from "./reader.ts";

/** Names a copy in shared memory, for a peer that can map it. */
export interface RegionReference {
  /** Chosen by its owner, never used for another region. */
  readonly id: number;
  /** Where the owner has it: the number of an open file. */
  readonly place: number;
  readonly byteLength: number;
}

/** Where a writer may put large binary instead of into its message. */
export interface BinarySink {
  /** Copies the bytes, which would begin at `at`. Undefined if they must go into the message. */
  take(bytes: Uint8Array, at: number): RegionReference | undefined;
  /** What was taken for `at` and behind it has been taken out of the message again. */
  rewind(at: number): void;
}

/** Where a reader finds binary that is not in its message. */
export interface BinarySource {
  /** A message that refers to shared memory begins. */
  begin(): void;
  /**
   * Memory that begins with the region's bytes, and holds no more than them if `isExact`. Undefined if nobody is going
   * to look at the value.
   *
   * @throws {ProtocolError} if there is no such region.
   */
  give(region: RegionReference, isExact: boolean): ArrayBuffer | undefined;
}

/** What follows the tag: a view on shared memory. */
export function readShared(reader: ByteReader): ArrayBufferView | ArrayBuffer | undefined {
  const kind = reader.u8();
  const byteLength = reader.u32();
  const id = reader.u32();
  const place = reader.u32();
  if (reader.source === undefined)
    throw new ProtocolError("A message refers to shared memory that nobody has offered.");
  const buffer = reader.source.give({ id, place, byteLength }, kind === 0);
  return buffer === undefined ? undefined : binaryOver(kind, buffer, byteLength);
}
