import type { FrameMemory } from "./frame-memory.ts";

/**
 * One ordered stream of bytes to a peer, as the wire sees it: a socket, a message port, memory.
 *
 * The wire hands over at most one `write` at a time and waits for `onWritable` where it returned false, so a transport
 * needs no queue of its own.
 */
export interface Transport {
  /**
   * Hands bytes over.
   *
   * @returns true if they are gone or copied: the memory may be used again, and the next write may follow. false: the
   *   transport keeps the memory, and calls `onWritable` when the next write may follow.
   */
  write(bytes: Uint8Array): boolean;
  /**
   * Hands bytes over together with all of the memory that they lie in, which is the other side's from then on. Only
   * where that is cheaper than a copy; they are gone when it returns, and the next write may follow.
   */
  give?(bytes: Uint8Array): void;
  /** Where large frames get their memory. */
  readonly memory: FrameMemory;
  /** Whether it is connected; until it is, nothing is written, and `onWritable` tells when. */
  readonly connected: boolean;
  /** How often this process had to give up a core while it had work, since some start. Absent: handing over early does not pay here. */
  readonly preemptions?: (() => number) | undefined;
  /** Begins to deliver what arrives. Called once, before anything else. */
  start(receiver: TransportReceiver): void;
  /** Runs `fn` once when the current turn's work is done: the time to flush. */
  defer(fn: () => void): void;
  /**
   * Runs `fn` once when everything was looked at that has arrived in this process by now, on any connection. Absent where
   * `defer` is as good.
   */
  deferToRound?(fn: () => void): void;
  /** Ends the connection after what was written. `onClosed` follows on both sides, once. Idempotent. */
  close(): void;
  /**
   * Ends the connection at once, for a peer that broke the protocol: nothing more is read, and what was written arrives
   * where that needs no waiting. `onClosed` follows.
   */
  destroy(error: Error): void;
}

/** What a transport tells the wire. None is called from inside `write` or `start`. */
export interface TransportReceiver {
  /** Where the next bytes should go, if the wire waits for the rest of a large frame: reading there saves a copy. */
  readonly target: Uint8Array | undefined;
  /** `length` bytes were read into what `target` gave. */
  onTarget(length: number): void;
  /** Bytes arrived in memory of the transport's own, which it may reuse as soon as this returns unless they are `owned`. */
  onBytes(bytes: Uint8Array, start: number, end: number, owned?: boolean): void;
  onWritable(): void;
  /** The connection is gone: closed by either side (`error` undefined), or broken. */
  onClosed(error: Error | undefined): void;
}
