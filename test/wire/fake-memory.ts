import { ProtocolError } from "../../src/core/errors.ts";
import type { RegionReference } from "../../src/wire/codec/shared-binary.ts";
import type { Region, RemoteMemory, SharedMemory } from "../../src/wire/shared-memory.ts";

/** What is written over memory that is used again: who still looks at it sees that it is not what it was. */
const USED_AGAIN = 0xdb;

/** A machine whose processes map each other's memory: really the same memory, so that nothing hides a use after the end. */
export class FakeMachine {
  readonly processes: FakeMemory[] = [];

  /** @param canReach whether it sees the others' memory. */
  process(options: { readonly maxBytes?: number; readonly canReach?: boolean } = {}): FakeMemory {
    const memory = new FakeMemory(this, this.processes.length, options);
    this.processes.push(memory);
    return memory;
  }
}

export class FakeMemory implements SharedMemory {
  readonly offer: Uint8Array;
  readonly regions = new Map<number, FakeRegion>();
  /** How often something was copied in. */
  stored = 0;
  /** Regions that were given up because somebody may see them still. */
  abandoned = 0;
  readonly #machine: FakeMachine;
  readonly #maxBytes: number;
  readonly #canReach: boolean;
  #mappings: (() => void)[] = [];

  constructor(machine: FakeMachine, number: number, options: { maxBytes?: number; canReach?: boolean }) {
    this.#machine = machine;
    this.#maxBytes = options.maxBytes ?? Infinity;
    this.#canReach = options.canReach ?? true;
    this.offer = Uint8Array.of(0xab, number);
  }

  /** What this process has mapped of others and not let go of. */
  get mapped(): number {
    return this.#mappings.length;
  }

  store(bytes: Uint8Array): Region | undefined {
    const taken = [...this.regions.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (taken + bytes.byteLength > this.#maxBytes) return undefined;
    const region = new FakeRegion(this, ++this.stored, bytes.slice());
    this.regions.set(region.id, region);
    return region;
  }

  reach(offer: Uint8Array): RemoteMemory | undefined {
    const owner = offer[0] === 0xab ? this.#machine.processes[offer[1]!] : undefined;
    if (owner === undefined || !this.#canReach) return undefined;
    return {
      map: ({ id, place, byteLength }, _isExact, onGone) => {
        const region = owner.regions.get(id);
        if (region === undefined || place !== region.place || byteLength > region.byteLength)
          throw new ProtocolError(`There is no region ${id} of ${byteLength} bytes.`);
        this.#mappings.push(onGone);
        return region.bytes.buffer;
      },
    };
  }

  /** The user has let go of everything. */
  collect(): void {
    const gone = this.#mappings;
    this.#mappings = [];
    for (const onGone of gone) onGone();
  }

  close(): void {
    this.regions.clear();
  }
}

class FakeRegion implements Region {
  readonly id: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  holders = 1;
  readonly #memory: FakeMemory;
  #isSeen = false;

  constructor(memory: FakeMemory, id: number, bytes: Uint8Array<ArrayBuffer>) {
    this.#memory = memory;
    this.id = id;
    this.bytes = bytes;
  }

  get place(): number {
    return this.id + 100;
  }

  get byteLength(): number {
    return this.bytes.byteLength;
  }

  hold(): void {
    if (this.holders === 0) throw new Error("A region was held again after its end.");
    this.holders++;
  }

  release(isUnseen: boolean): void {
    if (this.holders === 0) throw new Error("A region was released more often than held.");
    this.#isSeen ||= !isUnseen;
    if (--this.holders > 0) return;
    this.#memory.regions.delete(this.id);
    if (this.#isSeen) this.#memory.abandoned++;
    else this.bytes.fill(USED_AGAIN);
  }
}

/** A reference as it stands in a message. */
export function referenceBytes({ id, place, byteLength }: RegionReference, kind = 3): Uint8Array {
  const bytes = new Uint8Array(14);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0xb9;
  bytes[1] = kind;
  view.setUint32(2, byteLength, true);
  view.setUint32(6, id, true);
  view.setUint32(10, place, true);
  return bytes;
}
