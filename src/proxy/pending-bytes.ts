import type { Duplex } from "node:stream";

/** What a client may send before its WebSocket is accepted: none of it means anything yet. */
const MAX_BYTES = 65_536;

/**
 * Reads a socket while nobody can use what comes over it, so that the end of it is heard: keeps what has come for whoever
 * takes over, and holds back a client that sends much.
 */
export class PendingBytes {
  readonly #socket: Duplex;
  readonly #onEnd: () => void;
  #chunks: Buffer[];
  #size = 0;

  /** @param onEnd the client has closed its side, or all of the connection. */
  constructor(socket: Duplex, first: Buffer, onEnd: () => void) {
    this.#socket = socket;
    this.#chunks = [first];
    this.#onEnd = onEnd;
    socket.on("error", () => {});
    socket.on("data", this.#onData);
    socket.on("end", onEnd);
    socket.on("close", onEnd);
  }

  /** Gives all that has come to whoever reads on from this moment; or to nobody. */
  take(): Buffer {
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#socket.off("data", this.#onData);
    this.#socket.off("end", this.#onEnd);
    this.#socket.off("close", this.#onEnd);
    // Whoever listens for data is not heard as long as it is paused.
    if (this.#socket.isPaused()) this.#socket.resume();
    return bytes;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#size += chunk.byteLength;
    if (this.#size > MAX_BYTES) this.#socket.pause();
  };
}
