import type { EncodedBody } from "../core/contracts/replica-client.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Call } from "../core/handle/call.ts";
import type { Format } from "./codec/format.ts";
import { ByteReader } from "./codec/reader.ts";
import type { BinarySource, RegionReference } from "./codec/shared-binary.ts";
import { Header } from "./codec/tags.ts";
import type { Region } from "./shared-memory.ts";

/** The regions of a body: held until it is known that nobody sends it any more. */
class Holding {
  regions: readonly Region[];

  constructor(regions: readonly Region[]) {
    this.regions = regions;
  }

  release(): void {
    const { regions } = this;
    this.regions = [];
    for (const region of regions) region.release(true);
  }
}

/** A body whose call was given up before it was sent is let go without a word. */
const forgotten = new FinalizationRegistry((holding: Holding) => holding.release());

/** Encoded arguments that refer to regions of this process. */
export class SharedBody implements EncodedBody, BinarySource {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly #holding: Holding;
  /** The calls that need it: several in a broadcast. */
  readonly #calls = new Set<Call>();

  /** @param regions whose holder it becomes. */
  constructor(body: EncodedBody, regions: readonly Region[], call: Call) {
    this.#calls.add(call);
    this.bytes = body.bytes;
    this.start = body.start;
    this.end = body.end;
    this.#holding = new Holding(regions);
    forgotten.register(this, this.#holding);
  }

  get regions(): readonly Region[] {
    return this.#holding.regions;
  }

  join(call: Call): void {
    this.#calls.add(call);
  }

  leave(call: Call): void {
    if (this.#calls.delete(call) && this.#calls.size === 0) this.#holding.release();
  }

  begin(): void {}

  /** For who reads it in this process: a copy, which stays when the region goes. */
  give({ id }: RegionReference): ArrayBuffer {
    const region = this.regions.find((held) => held.id === id);
    if (region === undefined) throw new ProtocolError("Encoded arguments refer to memory that they do not hold.");
    return new Uint8Array(region.bytes).buffer;
  }
}

/** The arguments in a body, wherever they are. */
export function argsOf(body: EncodedBody, format: Pick<Format, "decodeArgs">): unknown[] {
  const reader = new ByteReader(body.bytes, body.start, body.end);
  if (body instanceof SharedBody) reader.source = body;
  return format.decodeArgs(reader);
}

/** What a message refers to, found without mapping any of it; nothing for all but a few messages. */
export function referencesIn(reader: ByteReader, format: Format, isArgs: boolean): readonly RegionReference[] {
  const { bytes, at, end } = reader;
  // Only heliostat's own format refers to memory, and says so in its first byte.
  if (format.number !== 0 || at >= end || (bytes[at]! & Header.SHARED) === 0) return [];
  const found: RegionReference[] = [];
  const skimming = new ByteReader(bytes, at, end);
  skimming.source = {
    begin() {},
    give(region) {
      found.push(region);
      return undefined;
    },
  };
  if (isArgs) format.decodeArgs(skimming);
  else format.decode(skimming);
  return found;
}
