import { closeSync, ftruncateSync, writeSync } from "node:fs";
import { type Libc, Seal } from "./libc.ts";

/** Pages of WebAssembly's memory, which are multiples of the kernel's. */
export const PAGE_BYTES = 65_536;

/**
 * Memory of which V8 knows when nobody has it any more, and which begins with a page: others can be put in its place.
 *
 * An ArrayBuffer over foreign memory would leave it to a finalizer to unmap that memory, and a finalizer does not know
 * of an ArrayBuffer that was transferred: the memory would be gone under the hands of whoever has the new one. A
 * WebAssembly.Memory's buffer cannot be transferred, counts as what it takes, and is unmapped by V8 itself.
 *
 * @throws {RangeError} if there is no room among the process's addresses.
 */
export function mappableMemory(byteLength: number): Uint8Array<ArrayBuffer> {
  const pages = Math.ceil(byteLength / PAGE_BYTES);
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer as ArrayBuffer);
}

/**
 * A file in memory, without a name in any directory: gone with the last process that has it open or mapped, however
 * that ends. Only this process, through the mapping made here, can write to it.
 */
export class MemoryFile {
  readonly fd: number;
  readonly bytes: Uint8Array;
  readonly #libc: Libc;

  private constructor(libc: Libc, fd: number, bytes: Uint8Array) {
    this.#libc = libc;
    this.fd = fd;
    this.bytes = bytes;
  }

  /** @returns undefined if there is no memory, or no room for another open file. */
  static create(libc: Libc, label: string, capacity: number, first: Uint8Array): MemoryFile | undefined {
    const fd = libc.memfdCreate(label);
    if (fd < 0) return undefined;
    try {
      ftruncateSync(fd, capacity);
      const bytes = mappableMemory(capacity);
      // Pages that are there already are mapped at a fraction of the cost, and where there are none left, writing fails
      // in an orderly way.
      for (let at = 0; at < first.byteLength;) at += writeSync(fd, first, at, first.byteLength - at, at);
      if (libc.mapFile(bytes, fd, true) && libc.addSeals(fd, Seal.SEAL | Seal.SHRINK | Seal.GROW | Seal.FUTURE_WRITE)) {
        return new MemoryFile(libc, fd, bytes);
      }
    } catch {
      // It is told below.
    }
    closeSync(fd);
    return undefined;
  }

  /** Lets go of it. Who has mapped it keeps what is there. */
  close(): void {
    closeSync(this.fd);
    // V8 unmaps it when it comes to it; the pages need not wait for that.
    this.#libc.mapNothing(this.bytes);
  }
}
