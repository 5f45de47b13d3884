import type { MessagePort } from "node:worker_threads";
import type { Transport, TransportReceiver } from "../wire/transport.ts";
import { threadMemory } from "./thread-memory.ts";

/** A message port as a transport: one message for each flush, its bytes moved, not copied again, to the other thread. */
class PortTransport implements Transport {
  readonly memory = threadMemory;
  readonly #port: MessagePort;
  #receiver: TransportReceiver | undefined = undefined;
  #closing = false;
  #closed = false;
  #error: Error | undefined = undefined;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  get connected(): boolean {
    return !this.#closing && !this.#closed;
  }

  start(receiver: TransportReceiver): void {
    this.#receiver = receiver;
    this.#port.on("message", (message: unknown) => {
      if (message instanceof Uint8Array) {
        threadMemory.arrived(message.byteLength);
        receiver.onBytes(message, 0, message.byteLength, true);
      } else this.#port.close();
    });
    this.#port.on("close", () => {
      if (this.#closed) return;
      this.#closed = true;
      receiver.onClosed(this.#error);
    });
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closing || this.#closed) return true;
    const copy = threadMemory.fresh(bytes.byteLength);
    copy.set(bytes);
    this.#port.postMessage(copy, [copy.buffer]);
    return true;
  }

  give(bytes: Uint8Array): void {
    if (!this.#closing && !this.#closed) this.#port.postMessage(bytes, [bytes.buffer as ArrayBuffer]);
  }

  defer(fn: () => void): void {
    process.nextTick(fn);
  }

  close(): void {
    if (this.#closing || this.#closed) return;
    this.#closing = true;
    // Closing a port drops what the other side has not read; a last message comes behind all others, and it closes.
    this.#port.postMessage(null);
  }

  destroy(error: Error): void {
    if (this.#closed) return;
    this.#error ??= error;
    this.#port.removeAllListeners("message");
    // It would drop what was written last, which says why.
    if (!this.#closing && this.#receiver !== undefined) this.#port.postMessage(null);
    else this.#port.close();
    this.#closing = true;
    if (this.#receiver === undefined) this.#closed = true;
  }
}

/** Makes a transport of one end of a `MessageChannel`; the other end is given to another thread. */
export function portTransport(port: MessagePort): Transport {
  return new PortTransport(port);
}
