import { connect, createServer, Socket, type OnReadOpts, type Server } from "node:net";
import type { Transport, TransportReceiver } from "../wire/transport.ts";
import { threadMemory } from "./thread-memory.ts";

/** Importing it would load all of it, its promises too, which a replica's start has no time for. */
const { rmSync } = process.getBuiltinModule("node:fs");

/** At least the kernel's own buffer (208 KB by default on Linux): a smaller one needs several reads for what is there. */
const READ_BYTES = 262_144;
/** As long as the peer goes on writing, a read goes on too: one of a whole large frame would keep everything else waiting. */
const MAX_READ_BYTES = 524_288;
/** The same holds for a write while the peer reads. */
const MAX_WRITE_BYTES = 524_288;

/**
 * What all sockets of this thread read into. libuv reads and calls back in one go, and the wire is done with the bytes
 * when the callback returns, so one buffer serves all.
 */
let sharedBuffer: Uint8Array | undefined;

function preemptions(): number {
  return process.resourceUsage().involuntaryContextSwitches;
}

/** The parts of a net.Socket that are there in every supported version, but not in its documentation. */
interface SocketInternals {
  _handle: object | null;
}

/** A Unix or TCP socket as a transport: one reused read buffer, and reads straight into the frame where one is large. */
class SocketTransport implements Transport {
  readonly preemptions: () => number = preemptions;
  readonly memory = threadMemory;
  #socket!: Socket;
  #receiver: TransportReceiver | undefined = undefined;
  #connected: boolean;
  #busy = false;
  /** What is still to be written of a large piece of memory. */
  #rest: Uint8Array | undefined = undefined;
  #closing = false;
  #closed = false;
  #error: Error | undefined = undefined;
  /** What the socket reads into now. */
  #buffer: Uint8Array;

  constructor(connected: boolean) {
    this.#connected = connected;
    this.#buffer = sharedBuffer ??= new Uint8Array(READ_BYTES);
  }

  /** The reading part, which must be known when the socket is made. */
  get onread(): OnReadOpts {
    return {
      buffer: () => this.#nextBuffer() as Uint8Array<ArrayBuffer>,
      callback: (length) => {
        if (this.#buffer === sharedBuffer) this.#receiver?.onBytes(this.#buffer, 0, length);
        else this.#receiver?.onTarget(length);
        return true;
      },
    };
  }

  /** `reads`: the socket was made with `onread`; otherwise its data events are used. */
  use(socket: Socket, reads: boolean): void {
    this.#socket = socket;
    if (!reads) socket.on("data", (chunk: Uint8Array) => this.#receiver?.onBytes(chunk, 0, chunk.byteLength));
    socket.on("connect", () => {
      this.#connected = true;
      if (!this.#closing) this.#receiver?.onWritable();
    });
    socket.on("drain", () => {
      if (!this.#busy) return;
      this.#busy = false;
      this.#goOn();
    });
    socket.on("error", (error) => {
      this.#error ??= error;
    });
    socket.on("close", () => {
      this.#closed = true;
      this.#connected = false;
      this.#receiver?.onClosed(this.#error);
    });
  }

  get connected(): boolean {
    return this.#connected && !this.#closing;
  }

  start(receiver: TransportReceiver): void {
    this.#receiver = receiver;
    this.#socket.resume();
  }

  write(bytes: Uint8Array): boolean {
    // A write after the end would be an error of the socket's, and cost what was written before.
    if (this.#closing || this.#closed) return true;
    if (bytes.byteLength > MAX_WRITE_BYTES) {
      this.#rest = bytes;
      this.#goOn();
      return false;
    }
    this.#socket.write(bytes);
    // Mostly the kernel has taken all of it by now.
    if (this.#socket.writableLength === 0) return true;
    this.#busy = true;
    return false;
  }

  /** Writes the next piece of something large; when all of it has left, another write may follow. */
  readonly #goOn = (): void => {
    const rest = this.#rest;
    if (this.#closed) return;
    if (rest === undefined) {
      if (!this.#closing) this.#receiver?.onWritable();
      return;
    }
    this.#rest = rest.byteLength > MAX_WRITE_BYTES ? rest.subarray(MAX_WRITE_BYTES) : undefined;
    this.#socket.write(rest.subarray(0, MAX_WRITE_BYTES));
    // The kernel may have taken it at once, for a peer that reads as fast; now others have their turn.
    if (this.#socket.writableLength === 0) setImmediate(this.#goOn);
    else this.#busy = true;
  };

  defer(fn: () => void): void {
    process.nextTick(fn);
  }

  /** A turn is over after each socket that was read; immediates run when all have been. */
  deferToRound(fn: () => void): void {
    setImmediate(fn);
  }

  close(): void {
    if (this.#closing || this.#closed) return;
    this.#closing = true;
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest === undefined) this.#socket.end();
    else this.#socket.end(rest);
  }

  destroy(error: Error): void {
    if (this.#closed) return;
    this.#closing = true;
    this.#rest = undefined;
    this.#error ??= error;
    this.#socket.destroy();
  }

  #nextBuffer(): Uint8Array {
    const target = this.#receiver?.target;
    this.#buffer = target === undefined ? sharedBuffer! : target.subarray(0, MAX_READ_BYTES);
    return this.#buffer;
  }
}

// With a mark of one byte every write that was not taken at once is followed by "drain".
const WRITABLE_MARK = { writableHighWaterMark: 1 };

/** Connects to a Unix socket. Failure to connect shows as `onClosed`. `keepsAlive: false`: the process may end while it is open. */
export function connectSocket(path: string, { keepsAlive = true }: { readonly keepsAlive?: boolean } = {}): Transport {
  const transport = new SocketTransport(false);
  const socket = connect({ path, onread: transport.onread, ...WRITABLE_MARK });
  if (!keepsAlive) socket.unref();
  transport.use(socket, true);
  return transport;
}

/** A listening Unix socket. */
export interface SocketListener {
  readonly path: string;
  /** Stops listening and removes the socket's file; accepted connections go on. Idempotent. */
  close(): void;
}

/** Listens on a Unix socket; `onTransport` gets each connection, which it must `start`. Rejects if the path is taken. */
export function listenSocket(path: string, onTransport: (transport: Transport) => void): Promise<SocketListener> {
  return new Promise((resolve, reject) => {
    const server: Server = createServer({ pauseOnConnect: true, ...WRITABLE_MARK }, (socket) =>
      onTransport(accepted(socket)),
    );
    server.on("error", reject);
    server.listen(path, () => {
      server.removeListener("error", reject);
      server.on("error", () => {}); // A connection that fails in the accept queue is its peer's trouble.
      resolve({
        path,
        close() {
          server.close();
          rmSync(path, { force: true });
        },
      });
    });
  });
}

/**
 * An accepted socket reads by data events, each with a buffer of its own, unless it is made anew over the same handle.
 * The handle is not documented, so where it is not as expected the socket is used as it is: correct, but slower.
 */
function accepted(socket: Socket): Transport {
  const transport = new SocketTransport(true);
  const internals = socket as unknown as SocketInternals;
  const handle = internals._handle;
  if (handle === null || typeof handle !== "object" || !("useUserBuffer" in handle)) {
    transport.use(socket, false);
    return transport;
  }
  internals._handle = null;
  transport.use(new Socket({ handle, onread: transport.onread, ...WRITABLE_MARK } as never), true);
  return transport;
}
