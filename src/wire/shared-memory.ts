import type { RegionReference } from "./codec/shared-binary.ts";

/**
 * Memory of this process that other processes of the machine can map, and the way to theirs: the wire's view of it.
 *
 * What is stored is copied once. Who maps it gets memory that it may write to without anybody else seeing it.
 */
export interface SharedMemory {
  /** Tells another process where to look. Whether it can see anything there it finds out with `reach`. */
  readonly offer: Uint8Array;
  /** Copies `bytes` to where others can map them. Undefined if there is no room: they must travel as bytes. */
  store(bytes: Uint8Array): Region | undefined;
  /** The memory of the process that has made `offer`; undefined if it cannot be reached from here. */
  reach(offer: Uint8Array): RemoteMemory | undefined;
  /** Gives everything back, whoever holds it. */
  close(): void;
}

/** A copy in shared memory, held by whoever has stored it, and by everybody who says so. */
export interface Region extends RegionReference {
  /** As they were stored. Valid while the region is held. */
  readonly bytes: Uint8Array;
  /** One more holder. */
  hold(): void;
  /**
   * One holder less. Behind the last one the memory is free.
   *
   * @param isUnseen nobody can look at it on this holder's account. Memory that somebody may look at still is never
   *   written to again.
   */
  release(isUnseen: boolean): void;
}

/** The memory of another process. */
export interface RemoteMemory {
  /**
   * Memory that begins with the region's bytes.
   *
   * @param isExact it must not be longer than they are.
   * @param onGone called once, in a later turn, when nobody in this process can reach the memory any more.
   * @throws {ProtocolError} if there is no such region.
   */
  map(region: RegionReference, isExact: boolean, onGone: () => void): ArrayBuffer;
}
