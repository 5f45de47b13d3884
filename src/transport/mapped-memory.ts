import { createHash, randomBytes } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from "node:fs";
import { totalmem } from "node:os";
import { ProtocolError } from "../core/errors.ts";
import type { RegionReference } from "../wire/codec/shared-binary.ts";
import type { Region, RemoteMemory, SharedMemory } from "../wire/shared-memory.ts";
import { type Libc, loadLibc, Seal } from "./libc.ts";
import { mappableMemory, MemoryFile, PAGE_BYTES } from "./memory-file.ts";
import { RegionPool } from "./region-pool.ts";

/** What the regions of one process may take, at most. */
const MAX_BYTES = 1_073_741_824;
/** And as a part of the memory that the process may use. */
const MAX_PART = 1 / 8;
/** Mappings of a process: the kernel and V8 both have limits, beyond which values are copied. */
const MAX_MAPPINGS = 4_096;
const NONCE_BYTES = 16;
/** The nonce, and the ids of the process and of the file where it is. */
const OFFER_BYTES = NONCE_BYTES + 8;

/**
 * Memory that the processes of one instance map, or undefined where that cannot be done: without the package `koffi`,
 * on another system than Linux, or where one process may not open what another has open.
 *
 * @param token the secret of the instance: its processes know each other's regions by what is made of it.
 */
export function openMappedMemory(token: Uint8Array, maxBytes: number = defaultMaxBytes()): SharedMemory | undefined {
  const libc = typeof WebAssembly === "undefined" ? undefined : loadLibc();
  if (libc === undefined) return undefined;
  const tag = createHash("sha256").update(token).digest("hex").slice(0, 16);
  const memory = MappedMemory.create(libc, { tag, maxBytes });
  if (memory === undefined || works(memory)) return memory;
  memory.close();
  return undefined;
}

interface MemoryOptions {
  /** What the labels of an instance's files have in common. */
  readonly tag: string;
  readonly maxBytes: number;
}

class MappedMemory implements SharedMemory {
  readonly offer: Uint8Array;
  readonly #libc: Libc;
  readonly #tag: string;
  readonly #pool: RegionPool;
  readonly #sign: MemoryFile;
  #isOpen = true;

  private constructor(libc: Libc, sign: MemoryFile, { tag, maxBytes }: MemoryOptions) {
    this.#libc = libc;
    this.#tag = tag;
    this.#sign = sign;
    const offer = Buffer.alloc(OFFER_BYTES);
    offer.set(sign.bytes.subarray(0, NONCE_BYTES));
    offer.writeUInt32LE(process.pid, NONCE_BYTES);
    offer.writeUInt32LE(sign.fd, NONCE_BYTES + 4);
    this.offer = offer;
    this.#pool = new RegionPool({ libc, maxBytes, label: (id) => labelOf(tag, id) });
  }

  static create(libc: Libc, options: MemoryOptions): MappedMemory | undefined {
    const sign = MemoryFile.create(libc, labelOf(options.tag, 0), PAGE_BYTES, randomBytes(NONCE_BYTES));
    return sign && new MappedMemory(libc, sign, options);
  }

  store(bytes: Uint8Array): Region | undefined {
    return this.#isOpen ? this.#pool.store(bytes) : undefined;
  }

  reach(offer: Uint8Array): RemoteMemory | undefined {
    if (!this.#isOpen || offer.byteLength !== OFFER_BYTES) return undefined;
    const view = new DataView(offer.buffer, offer.byteOffset, offer.byteLength);
    const pid = view.getUint32(NONCE_BYTES, true);
    const process = new OtherProcess(this.#libc, pid, this.#tag);
    try {
      const seen = process.read({ id: 0, place: view.getUint32(NONCE_BYTES + 4, true), byteLength: NONCE_BYTES });
      return seen.every((byte, i) => byte === offer[i]) ? process : undefined;
    } catch {
      return undefined;
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#pool.close();
    this.#sign.close();
  }
}

/** Tells when an ArrayBuffer over somebody's region is gone. Of the module, for a registry that goes tells nothing. */
const mappings = new FinalizationRegistry((onGone: () => void) => {
  mapped--;
  onGone();
});
let mapped = 0;

/** A process that has shown that it is of this instance, and of this machine. */
class OtherProcess implements RemoteMemory {
  readonly #libc: Libc;
  readonly #pid: number;
  readonly #tag: string;

  constructor(libc: Libc, pid: number, tag: string) {
    this.#libc = libc;
    this.#pid = pid;
    this.#tag = tag;
  }

  map(region: RegionReference, isExact: boolean, onGone: () => void): ArrayBuffer {
    const fd = this.#open(region);
    try {
      const buffer =
        mapped < MAX_MAPPINGS && !(isExact && region.byteLength % PAGE_BYTES !== 0) && this.#map(fd, region);
      if (buffer) {
        mapped++;
        mappings.register(buffer, onGone);
        return buffer;
      }
      const copy = readWhole(fd, region.byteLength);
      setImmediate(onGone);
      return copy.buffer;
    } finally {
      closeSync(fd);
    }
  }

  read(region: RegionReference): Uint8Array {
    const fd = this.#open(region);
    try {
      return readWhole(fd, region.byteLength);
    } finally {
      closeSync(fd);
    }
  }

  /** Not shared: what is written to it is seen by nobody else. */
  #map(fd: number, { byteLength }: RegionReference): ArrayBuffer | undefined {
    try {
      const memory = mappableMemory(byteLength);
      return this.#libc.mapFile(memory, fd, false) ? memory.buffer : undefined;
    } catch {
      return undefined;
    }
  }

  /** Opens what the other process has open, if it is a region of this instance that stays as long as it is. */
  #open({ id, place, byteLength }: RegionReference): number {
    const label = `/memfd:${labelOf(this.#tag, id)} (deleted)`;
    const path = `/proc/${this.#pid}/fd/${place}`;
    let fd: number;
    try {
      // Opening something else might have an effect, or take for ever.
      if (readlinkSync(path) !== label) throw new Error("It is another file.");
      fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (cause) {
      throw new ProtocolError(`A message refers to region ${id}, which process ${this.#pid} does not have.`, { cause });
    }
    try {
      // What counts is the file that was opened.
      const isRegion = readlinkSync(`/proc/self/fd/${fd}`) === label && (this.#libc.seals(fd) & Seal.SHRINK) !== 0;
      if (isRegion && fstatSync(fd).size >= byteLength) return fd;
    } catch {
      // It is told below.
    }
    closeSync(fd);
    throw new ProtocolError(`A message refers to ${byteLength} bytes of region ${id}, which is not that large.`);
  }
}

function labelOf(tag: string, id: number): string {
  return `heliostat-${tag}-${id}`;
}

function readWhole(fd: number, byteLength: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(byteLength);
  for (let at = 0; at < byteLength;) {
    const length = readSync(fd, bytes, at, byteLength - at, at);
    if (length === 0) throw new ProtocolError("A region is shorter than it was.");
    at += length;
  }
  return bytes;
}

function defaultMaxBytes(): number {
  // 0, or more than there is, if nothing constrains it.
  const constrained = process.constrainedMemory() || Infinity;
  return Math.min(MAX_BYTES, Math.min(constrained, totalmem()) * MAX_PART);
}

/** Whether memory can be opened by its process, mapped, and written to without changing what was stored. */
function works(memory: MappedMemory): boolean {
  const remote = memory.reach(memory.offer);
  const stored = new Uint8Array(PAGE_BYTES).fill(1);
  const region = memory.store(stored);
  if (remote === undefined || region === undefined) return false;
  try {
    const first = new Uint8Array(remote.map(region, true, () => {}));
    const second = new Uint8Array(remote.map(region, true, () => {}));
    first[0] = 2;
    return first[1] === 1 && second[0] === 1 && region.bytes[0] === 1;
  } catch {
    return false;
  } finally {
    region.release(false);
  }
}
