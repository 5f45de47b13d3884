import { AsyncResource } from "node:async_hooks";
import type { Transport, TransportReceiver } from "../wire/transport.ts";
import { threadMemory } from "./thread-memory.ts";

/**
 * One end of a connection inside a process. Bytes still pass as bytes: what would not survive another process's
 * boundary does not survive this one either.
 */
class MemoryTransport implements Transport {
  readonly memory = threadMemory;
  /** As a socket's, its events belong to the connection, not to whoever was the first to write in a turn. */
  readonly #resource = new AsyncResource("heliostat", { requireManualDestroy: true });
  peer!: MemoryTransport;
  #receiver: TransportReceiver | undefined = undefined;
  #inbox: Uint8Array[] = [];
  #scheduled = false;
  #closing = false;
  #closed = false;
  #error: Error | undefined = undefined;

  get connected(): boolean {
    return !this.#closing;
  }

  start(receiver: TransportReceiver): void {
    this.#receiver = receiver;
    if (this.#inbox.length > 0 || this.#closing) this.#schedule();
  }

  write(bytes: Uint8Array): boolean {
    // The writer goes on to use its memory, as it does with a socket.
    if (!this.#closing) this.peer.#deliver(bytes.slice());
    return true;
  }

  give(bytes: Uint8Array): void {
    if (!this.#closing) this.peer.#deliver(bytes);
  }

  defer(fn: () => void): void {
    queueMicrotask(fn);
  }

  close(): void {
    this.#end(undefined);
    this.peer.#end(undefined);
  }

  destroy(error: Error): void {
    this.#inbox = [];
    this.#end(error);
    this.peer.#end(undefined);
  }

  #end(error: Error | undefined): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#error = error;
    this.#schedule();
  }

  #deliver(bytes: Uint8Array): void {
    if (this.#closing) return;
    this.#inbox.push(bytes);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#receiver === undefined) return;
    this.#scheduled = true;
    // A turn of its own, as from a socket: user code on one side is never called from inside the other's.
    setImmediate(() => this.#resource.runInAsyncScope(this.#drain, this));
  }

  #drain(): void {
    this.#scheduled = false;
    const receiver = this.#receiver!;
    const inbox = this.#inbox;
    this.#inbox = [];
    for (const bytes of inbox) receiver.onBytes(bytes, 0, bytes.byteLength, true);
    if (!this.#closing || this.#closed || this.#inbox.length > 0) return;
    this.#closed = true;
    receiver.onClosed(this.#error);
  }
}

/** Two connected ends. */
export function memoryPair(): [Transport, Transport] {
  const a = new MemoryTransport();
  const b = new MemoryTransport();
  a.peer = b;
  b.peer = a;
  return [a, b];
}
