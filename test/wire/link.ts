import { SlabPool } from "../../src/wire/frame-memory.ts";
import type { Transport, TransportReceiver } from "../../src/wire/transport.ts";

/** Memory in which nothing is zero, and which is scrambled when it is given back: who reads it still, reads rubbish. */
export class ScrambledMemory extends SlabPool {
  constructor() {
    const fresh = (bytes: number): Uint8Array<ArrayBuffer> => new Uint8Array(bytes).fill(0xdb);
    super({ receive: fresh, fresh });
  }

  override give(slab: Uint8Array): void {
    super.give(slab.fill(0xdb));
  }
}

export interface LinkOptions {
  /** Whether it takes over memory, as a message port does. @default false */
  readonly gives?: boolean;
  /** Of the buffer that is read into. @default 4_096 */
  readonly readBytes?: number;
  /** Whether a write is kept (false is returned) until its bytes were delivered. @default never */
  keeps?(): boolean;
  /** Whether the near end is connected from the start. @default true */
  readonly connected?: boolean;
}

/** A connection in the hands of a test: nothing moves, and nobody hears of anything, until the test says so. */
export class Link {
  readonly near: LinkEnd;
  readonly far: LinkEnd;

  constructor(options: LinkOptions = {}) {
    this.near = new LinkEnd(options, options.connected ?? true);
    this.far = new LinkEnd(options, true);
    this.near.peer = this.far;
    this.far.peer = this.near;
  }

  get ends(): readonly LinkEnd[] {
    return [this.near, this.far];
  }

  /** The connection stands from now on. */
  connect(): void {
    this.near.connected = true;
    this.near.receiver?.onWritable();
  }

  /** Breaks it, as a crash of the far process does: what was not delivered is gone. */
  break(error: Error | undefined): void {
    for (const end of this.ends) end.die(error);
  }
}

/** One end, as the wire sees it. */
export class LinkEnd implements Transport {
  readonly memory = new ScrambledMemory();
  peer!: LinkEnd;
  connected: boolean;
  receiver: TransportReceiver | undefined = undefined;
  /** Bytes that were written here and have not arrived there. */
  readonly outgoing: Uint8Array[] = [];
  /** Everything that was written here. */
  written = 0;
  readonly #options: LinkOptions;
  #deferred: (() => void)[] = [];
  /** A write was kept: its memory is on the way, and the next must wait. */
  #busy = false;
  #closing = false;
  #closed = false;
  #dead: { readonly error: Error | undefined } | undefined = undefined;
  /** What arrives is read here, and scrambled afterwards: as it is in a socket's read buffer. */
  readonly #readBuffer: Uint8Array;

  constructor(options: LinkOptions, connected: boolean) {
    this.#options = options;
    this.#readBuffer = new Uint8Array(options.readBytes ?? 4_096);
    this.connected = connected;
    if (options.gives) this.give = (bytes) => this.#give(bytes);
  }

  get closed(): boolean {
    return this.#closed;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#busy) throw new Error("The wire wrote while the transport was busy.");
    if (!this.connected) throw new Error("The wire wrote before the transport was connected.");
    if (this.#closing || this.#closed) return true;
    this.written += bytes.byteLength;
    if (this.#options.keeps?.()) {
      // No copy: should the wire write into memory that it has given away, the far side reads rubbish.
      this.outgoing.push(bytes);
      this.#busy = true;
      return false;
    }
    this.outgoing.push(bytes.slice());
    return true;
  }

  give?: (bytes: Uint8Array) => void;

  #give(bytes: Uint8Array): void {
    if (this.#busy) throw new Error("The wire gave memory away while the transport was busy.");
    if (!this.connected) throw new Error("The wire gave memory away before the transport was connected.");
    if (this.#closing || this.#closed) return;
    this.written += bytes.byteLength;
    // As if it went to another thread: here it is no more.
    const { byteOffset, byteLength } = bytes;
    this.outgoing.push(new Uint8Array((bytes.buffer as ArrayBuffer).transfer(), byteOffset, byteLength));
  }

  start(receiver: TransportReceiver): void {
    this.receiver = receiver;
  }

  defer(fn: () => void): void {
    this.#deferred.push(fn);
  }

  close(): void {
    this.#closing = true;
  }

  /** As with a socket: what was written still arrives, what is on its way here does not. */
  destroy(error: Error): void {
    this.#dead ??= { error };
    this.#closing = true;
    this.peer.outgoing.length = 0;
  }

  die(error: Error | undefined): void {
    this.outgoing.length = 0;
    this.#dead ??= { error };
  }

  /** Ends the turn of the process at this end. @returns whether there was something to do. */
  endTurn(): boolean {
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const fn of deferred) fn();
    return deferred.length > 0;
  }

  /** Moves up to `limit` bytes to the other side. @returns how many. */
  deliver(limit = Infinity): number {
    const { peer } = this;
    if (peer.#dead !== undefined) this.outgoing.length = 0;
    if (peer.receiver === undefined || peer.#closed || peer.#dead !== undefined) return 0;
    let moved = 0;
    while (moved < limit && this.outgoing.length > 0 && peer.#dead === undefined) {
      const first = this.outgoing[0]!;
      if (this.give !== undefined) {
        // Messages arrive whole, in memory that is the receiver's.
        this.outgoing.shift();
        moved += first.byteLength;
        peer.receiver.onBytes(this.#busy ? first.slice() : first, 0, first.byteLength, true);
        continue;
      }
      const target = peer.receiver.target;
      const into = target ?? peer.#readBuffer;
      const length = Math.min(first.byteLength, into.byteLength, limit - moved);
      into.set(first.subarray(0, length));
      if (length === first.byteLength) this.outgoing.shift();
      else this.outgoing[0] = first.subarray(length);
      moved += length;
      if (target === undefined) {
        peer.receiver.onBytes(peer.#readBuffer, 0, length);
        peer.#readBuffer.fill(0xdb, 0, length);
      } else {
        peer.receiver.onTarget(length);
      }
    }
    return moved;
  }

  /** Tells the wire that a kept write has left. @returns whether there was one. */
  free(): boolean {
    if (!this.#busy || this.outgoing.length > 0 || this.#closed || this.#dead !== undefined) return false;
    this.#busy = false;
    this.receiver?.onWritable();
    return true;
  }

  /** Tells of the end of the connection, if it is there. @returns whether it was told. */
  finish(): boolean {
    if (this.#closed || this.receiver === undefined) return false;
    const closing = this.#closing || this.peer.#closing;
    const over = this.#dead !== undefined || (closing && this.peer.outgoing.length === 0 && this.outgoing.length === 0);
    if (!over) return false;
    this.#closed = true;
    this.connected = false;
    this.peer.#closing = true;
    this.receiver.onClosed(this.#dead?.error);
    return true;
  }
}

/** Moves everything over all links until nothing moves any more. */
export async function settle(links: () => readonly Link[], turn: () => void = () => {}): Promise<void> {
  for (let rounds = 0; ; rounds++) {
    if (rounds > 100_000) throw new Error("The links do not come to rest.");
    await new Promise(setImmediate);
    turn();
    let moved = false;
    for (const link of links()) {
      for (const end of link.ends) {
        if (end.endTurn()) moved = true;
        if (end.deliver() > 0) moved = true;
        if (end.free()) moved = true;
      }
    }
    for (const link of links()) for (const end of link.ends) if (end.finish()) moved = true;
    if (!moved) return;
  }
}
