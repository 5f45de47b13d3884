import type { Region } from "../wire/shared-memory.ts";
import type { Libc } from "./libc.ts";
import { MemoryFile, PAGE_BYTES } from "./memory-file.ts";

/** Each has an open file. */
const MAX_REGIONS = 512;
/** A region has room for a power of two, so that it fits the next value too; what is not written takes no memory. */
const SMALLEST_BYTES = 1_048_576;
/** Memory that nobody has needed for so long is given back. */
const IDLE_MS = 5_000;

export interface RegionPoolOptions {
  readonly libc: Libc;
  /** How much memory all regions together may take. */
  readonly maxBytes: number;
  /** The label of a region's file. */
  label(id: number): string;
}

/** The regions of a process. Those that are free are used again: the kernel takes ten times as long for new memory as copying does. */
export class RegionPool {
  readonly #options: RegionPoolOptions;
  readonly #all = new Set<PooledRegion>();
  /** The last one to become free is the last one here: it is the first to be used again, being warm. */
  #free: PooledRegion[] = [];
  #bytes = 0;
  #nextId = 1;
  #trimTimer: NodeJS.Timeout | undefined = undefined;

  constructor(options: RegionPoolOptions) {
    this.#options = options;
  }

  /** Regions that somebody holds. */
  get held(): number {
    return this.#all.size - this.#free.length;
  }

  /** The memory of all regions. */
  get bytes(): number {
    return this.#bytes;
  }

  store(bytes: Uint8Array): Region | undefined {
    const capacity = capacityFor(bytes.byteLength);
    const again = this.#free.findLast((region) => region.file.bytes.byteLength === capacity);
    const more = bytes.byteLength - (again?.usedBytes ?? 0);
    if (more > 0 && !this.#makeRoom(more, again)) return undefined;
    return again === undefined ? this.#create(bytes, capacity) : this.#reuse(again, bytes);
  }

  close(): void {
    clearTimeout(this.#trimTimer);
    this.#trimTimer = undefined;
    for (const region of this.#all) region.file.close();
    this.#all.clear();
    this.#free = [];
    this.#bytes = 0;
  }

  /** Nobody holds it any more. */
  free(region: PooledRegion, isUnseen: boolean): void {
    if (!this.#all.has(region)) return;
    if (!isUnseen) {
      this.#close(region);
      return;
    }
    region.freedMs = performance.now();
    this.#free.push(region);
    this.#trimLater();
  }

  #create(bytes: Uint8Array, capacity: number): Region | undefined {
    const { libc, label } = this.#options;
    const id = this.#nextId++;
    const file = MemoryFile.create(libc, label(id), capacity, bytes);
    if (file === undefined) return undefined;
    const region = new PooledRegion(this, id, file);
    region.byteLength = region.usedBytes = bytes.byteLength;
    this.#bytes += bytes.byteLength;
    this.#all.add(region);
    return region;
  }

  #reuse(region: PooledRegion, bytes: Uint8Array): Region {
    this.#free.splice(this.#free.lastIndexOf(region), 1);
    region.file.bytes.set(bytes);
    // Who maps it sees whole pages: the rest of an earlier value is nobody's business.
    if (region.usedBytes > bytes.byteLength)
      region.file.bytes.fill(0, bytes.byteLength, Math.ceil(bytes.byteLength / PAGE_BYTES) * PAGE_BYTES);
    region.byteLength = bytes.byteLength;
    region.holders = 1;
    this.#bytes += Math.max(0, bytes.byteLength - region.usedBytes);
    region.usedBytes = Math.max(region.usedBytes, bytes.byteLength);
    return region;
  }

  /** Closes free regions until so many bytes more are allowed. */
  #makeRoom(bytes: number, except: PooledRegion | undefined): boolean {
    const { maxBytes } = this.#options;
    const fits = (): boolean =>
      this.#bytes + bytes <= maxBytes && (except !== undefined || this.#all.size < MAX_REGIONS);
    for (const region of [...this.#free]) {
      if (fits()) return true;
      if (region !== except) this.#close(region);
    }
    return fits();
  }

  #close(region: PooledRegion): void {
    this.#all.delete(region);
    this.#bytes -= region.usedBytes;
    const index = this.#free.indexOf(region);
    if (index >= 0) this.#free.splice(index, 1);
    region.file.close();
  }

  #trimLater(): void {
    this.#trimTimer ??= setTimeout(() => {
      this.#trimTimer = undefined;
      const idleSinceMs = performance.now() - IDLE_MS;
      for (const region of [...this.#free]) if (region.freedMs <= idleSinceMs) this.#close(region);
      if (this.#free.length > 0) this.#trimLater();
    }, IDLE_MS).unref();
  }
}

class PooledRegion implements Region {
  readonly id: number;
  readonly file: MemoryFile;
  byteLength = 0;
  /** Bytes of the file that have ever been written: they have pages. */
  usedBytes = 0;
  holders = 1;
  freedMs = 0;
  readonly #pool: RegionPool;
  #isSeen = false;

  constructor(pool: RegionPool, id: number, file: MemoryFile) {
    this.#pool = pool;
    this.id = id;
    this.file = file;
  }

  get place(): number {
    return this.file.fd;
  }

  get bytes(): Uint8Array {
    return this.file.bytes.subarray(0, this.byteLength);
  }

  hold(): void {
    this.holders++;
  }

  release(isUnseen: boolean): void {
    if (!isUnseen) this.#isSeen = true;
    if (--this.holders === 0) this.#pool.free(this, !this.#isSeen);
  }
}

function capacityFor(byteLength: number): number {
  return Math.max(SMALLEST_BYTES, 2 ** Math.ceil(Math.log2(byteLength)));
}
