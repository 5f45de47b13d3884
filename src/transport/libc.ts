import { createRequire } from "node:module";

/** The few calls that Node has no way to make, for memory that several processes map. */
export interface Libc {
  /** A file without a name, in memory alone. @returns its descriptor, or -1. */
  memfdCreate(label: string): number;
  /** Puts a file's pages in the place of those behind `memory`, which begin and end with a page. @returns whether it could. */
  mapFile(memory: Uint8Array, fd: number, isShared: boolean): boolean;
  /** Puts empty pages there. */
  mapNothing(memory: Uint8Array): void;
  addSeals(fd: number, seals: number): boolean;
  /** The seals of a file; -1 if it is none that can have any. */
  seals(fd: number): number;
}

/** What a file in memory is protected from, as bits: further seals, shrinking, growing, writing from now on. */
export const Seal = { SEAL: 1, SHRINK: 2, GROW: 4, FUTURE_WRITE: 16 } as const;

/** The part of koffi that is used. */
interface Koffi {
  load(path: null): { func(definition: string): (...args: readonly unknown[]) => number };
}

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const PROT_READ = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const F_ADD_SEALS = 1_033;
const F_GET_SEALS = 1_034;
/** Where these numbers are right, and an offset in a file has 64 bits. */
const ARCHITECTURES = ["x64", "arm64"];

/** Undefined where the package `koffi` is not installed or cannot be used: it is optional. */
export function loadLibc(): Libc | undefined {
  if (process.platform !== "linux" || !ARCHITECTURES.includes(process.arch)) return undefined;
  try {
    const koffi = createRequire(import.meta.url)("koffi") as Koffi;
    // The functions of the process itself, so that it does not matter which C library it has.
    const library = koffi.load(null);
    const create = library.func("int memfd_create(const char *name, unsigned int flags)");
    const map = library.func("intptr_t mmap(void *addr, size_t length, int prot, int flags, int fd, int64_t offset)");
    const fcntl = library.func("int fcntl(int fd, int command, ...)");
    return {
      memfdCreate: (label) => create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING),
      mapFile: (memory, fd, isShared) =>
        Number(
          map(memory, memory.byteLength, PROT_READ_WRITE, MAP_FIXED | (isShared ? MAP_SHARED : MAP_PRIVATE), fd, 0),
        ) !== -1,
      mapNothing: (memory) =>
        void map(memory, memory.byteLength, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      addSeals: (fd, seals) => fcntl(fd, F_ADD_SEALS, "int", seals) === 0,
      seals: (fd) => fcntl(fd, F_GET_SEALS),
    };
  } catch {
    return undefined;
  }
}
