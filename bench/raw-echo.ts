import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type OnReadOpts, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/*
 * The measure of everything else: frames over a Unix socket between two processes, with as little around them as
 * possible.
 *
 * It imports nothing of the product. Both sides read into one reused buffer, copy frames to one slab, and write it once
 * per tick. There is no promise, no codec, no table of calls and no admission: what this does in a second is what two
 * Node processes can do.
 */

const HEADER_BYTES = 12;
/** Of a small frame. */
const PAYLOAD_BYTES = 64;
const SMALL_BYTES = HEADER_BYTES + PAYLOAD_BYTES;
const READ_BYTES = 256 * 1024;
const SLAB_BYTES = 64 * 1024;

/** What the peer is to do with a frame. Its header: u32 length of the payload, u32 ask, u32 number. */
const Ask = { ECHO: 1, ITEMS: 2, TAKE: 3, GIVE: 4 } as const;

/** Collects small frames in a slab and writes it once per tick. */
class SlabWriter {
  readonly #socket: Socket;
  slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #at = 0;
  #scheduled = false;
  readonly #flush = (): void => this.flush();

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Makes room for a frame. @returns where it begins in `slab`. */
  frame(bytes: number): number {
    if (this.#at + bytes > SLAB_BYTES) this.flush();
    if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(this.#flush);
    }
    const at = this.#at;
    this.#at = at + bytes;
    return at;
  }

  flush(): void {
    this.#scheduled = false;
    if (this.#at === 0) return;
    this.#socket.write(this.slab.subarray(0, this.#at));
    this.#at = 0;
    // The kernel has not taken all of it: the memory is in use.
    if (this.#socket.writableLength > 0) this.slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  }
}

/** Cuts what arrives into frames; a large payload is read straight into memory of its own. */
class FrameCutter {
  readonly #onFrame: (bytes: Buffer, start: number, payloadBytes: number) => void;
  readonly #read = Buffer.allocUnsafeSlow(READ_BYTES);
  /** The part of a frame that has arrived, at the beginning of `#rest`. */
  readonly #rest = Buffer.allocUnsafeSlow(READ_BYTES + SLAB_BYTES);
  #restBytes = 0;
  #large: Buffer<ArrayBuffer> | undefined = undefined;
  #largeAt = 0;
  #lastLarge: Buffer<ArrayBuffer> = Buffer.alloc(0);

  constructor(onFrame: (bytes: Buffer, start: number, payloadBytes: number) => void) {
    this.#onFrame = onFrame;
  }

  get onread(): OnReadOpts {
    return {
      buffer: () =>
        (this.#large === undefined ? this.#read : this.#large.subarray(this.#largeAt)) as Uint8Array<ArrayBuffer>,
      callback: (length) => {
        if (this.#large === undefined) this.#take(this.#read, length);
        else this.#takeLarge(length);
        return true;
      },
    };
  }

  /** For small frames only: one buffer for ever is a little faster than a function that gives it. */
  get smallOnread(): OnReadOpts {
    return {
      buffer: this.#read as Uint8Array<ArrayBuffer>,
      callback: (length) => {
        this.#take(this.#read, length);
        return true;
      },
    };
  }

  #take(bytes: Buffer, length: number): void {
    let source = bytes;
    let end = length;
    if (this.#restBytes > 0) {
      bytes.copy(this.#rest, this.#restBytes, 0, length);
      source = this.#rest;
      end = this.#restBytes + length;
      this.#restBytes = 0;
    }
    let at = 0;
    while (end - at >= HEADER_BYTES) {
      const payload = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24);
      if (end - at < HEADER_BYTES + payload) {
        if (payload > SLAB_BYTES) {
          this.#beginLarge(source, at, end, payload);
          return;
        }
        break;
      }
      this.#onFrame(source, at, payload);
      at += HEADER_BYTES + payload;
    }
    if (at < end) {
      source.copy(this.#rest, 0, at, end);
      this.#restBytes = end - at;
    }
  }

  #beginLarge(source: Buffer, start: number, end: number, payload: number): void {
    const bytes = HEADER_BYTES + payload;
    // Used again: nobody keeps it, and what is measured is moving bytes, not getting memory.
    this.#large = this.#lastLarge.byteLength === bytes ? this.#lastLarge : Buffer.allocUnsafeSlow(bytes);
    this.#lastLarge = this.#large;
    this.#largeAt = source.copy(this.#large, 0, start, end);
  }

  #takeLarge(length: number): void {
    const large = this.#large!;
    this.#largeAt += length;
    if (this.#largeAt < large.byteLength) return;
    this.#large = undefined;
    this.#onFrame(large, 0, large.byteLength - HEADER_BYTES);
  }
}

function writeHeader(slab: Buffer, at: number, payloadBytes: number, ask: number, number: number): void {
  slab.writeUInt32LE(payloadBytes, at);
  slab.writeUInt32LE(ask, at + 4);
  slab.writeUInt32LE(number, at + 8);
}

/** The peer: answers every frame. */
function serve(path: string): void {
  const server = createServer({ pauseOnConnect: true }, (accepted) => {
    let writer!: SlabWriter;
    let given = Buffer.alloc(0);
    const cutter = new FrameCutter((bytes, start, payloadBytes) => {
      const ask = bytes.readUInt32LE(start + 4);
      const number = bytes.readUInt32LE(start + 8);
      if (ask === Ask.ECHO) {
        const at = writer.frame(HEADER_BYTES + payloadBytes);
        bytes.copy(writer.slab, at, start, start + HEADER_BYTES + payloadBytes);
      } else if (ask === Ask.ITEMS) {
        sendItems(number);
      } else if (ask === Ask.TAKE) {
        writeHeader(writer.slab, writer.frame(HEADER_BYTES), 0, ask, number);
      } else {
        if (given.byteLength !== HEADER_BYTES + number) {
          given = Buffer.alloc(HEADER_BYTES + number);
          writeHeader(given, 0, number, ask, number);
        }
        socket.write(given);
      }
    });
    const socket = reading(accepted, cutter.onread);
    writer = new SlabWriter(socket);
    const item = Buffer.alloc(SMALL_BYTES);
    const sendItems = (count: number): void => {
      let left = count;
      const go = (): void => {
        while (left > 0) {
          if (socket.writableNeedDrain) {
            socket.once("drain", go);
            return;
          }
          left--;
          const at = writer.frame(SMALL_BYTES);
          item.copy(writer.slab, at);
          writeHeader(writer.slab, at, PAYLOAD_BYTES, Ask.ITEMS, left);
        }
      };
      go();
    };
    socket.on("error", () => {});
  });
  server.listen(path, () => process.send!("listening"));
  process.on("disconnect", () => process.exit(0));
}

/** An accepted socket that reads into a buffer of ours, which Node offers only for sockets that it connects itself. */
function reading(accepted: Socket, onread: OnReadOpts): Socket {
  const internals = accepted as unknown as { _handle: object | null };
  const handle = internals._handle!;
  internals._handle = null;
  return new Socket({ handle, onread } as never);
}

/** A peer process and a connection to it. */
export class RawEcho {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #socket: Socket;
  readonly #writer: SlabWriter;
  #onFrame: (bytes: Buffer, start: number, payloadBytes: number) => void = () => {};

  private constructor(child: ChildProcess, directory: string, large: boolean) {
    this.#child = child;
    this.#directory = directory;
    const cutter = new FrameCutter((bytes, start, payloadBytes) => this.#onFrame(bytes, start, payloadBytes));
    this.#socket = connect({ path: join(directory, "raw.sock"), onread: large ? cutter.onread : cutter.smallOnread });
    this.#writer = new SlabWriter(this.#socket);
  }

  /** @param options `large`: payloads over 64 KB will come back. */
  static async start(options: { readonly large?: boolean } = {}): Promise<RawEcho> {
    const directory = mkdtempSync(join(tmpdir(), "raw-echo-"));
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), join(directory, "raw.sock")], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    await once(child, "message");
    const raw = new RawEcho(child, directory, options.large ?? false);
    await once(raw.#socket, "connect");
    child.unref();
    child.channel!.unref();
    return raw;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Sends `count` small frames and waits for each to come back, with so many on the way. */
  echo(inFlight: number, count: number): Promise<void> {
    return new Promise((resolve) => {
      const writer = this.#writer;
      const payload = Buffer.alloc(PAYLOAD_BYTES, 7);
      let toSend = count;
      let toCome = count;
      const send = (): void => {
        toSend--;
        const at = writer.frame(SMALL_BYTES);
        const { slab } = writer;
        writeHeader(slab, at, PAYLOAD_BYTES, Ask.ECHO, toSend);
        payload.copy(slab, at + HEADER_BYTES);
      };
      this.#onFrame = () => {
        toCome--;
        if (toSend > 0) send();
        else if (toCome === 0) resolve();
      };
      for (let i = 0; i < inFlight && toSend > 0; i++) send();
    });
  }

  /** Asks for `count` small frames and waits for them. */
  items(count: number): Promise<void> {
    return new Promise((resolve) => {
      let toCome = count;
      this.#onFrame = () => {
        if (--toCome === 0) resolve();
      };
      this.#ask(Ask.ITEMS, count);
    });
  }

  /** Sends `count` frames of `size` bytes, each answered by a header. */
  take(inFlight: number, count: number, size: number): Promise<void> {
    const frame = Buffer.alloc(HEADER_BYTES + size, 7);
    writeHeader(frame, 0, size, Ask.TAKE, 0);
    return this.#loop(inFlight, count, () => void this.#socket.write(frame));
  }

  /** Asks for `count` frames of `size` bytes. */
  give(inFlight: number, count: number, size: number): Promise<void> {
    return this.#loop(inFlight, count, () => this.#ask(Ask.GIVE, size));
  }

  async close(): Promise<void> {
    this.#socket.destroy();
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) {
      this.#child.ref();
      const gone = once(this.#child, "exit");
      this.#child.disconnect();
      await gone;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #loop(inFlight: number, count: number, send: () => void): Promise<void> {
    return new Promise((resolve) => {
      let toSend = count;
      let toCome = count;
      this.#onFrame = () => {
        toCome--;
        if (toSend > 0) {
          toSend--;
          send();
        } else if (toCome === 0) resolve();
      };
      for (; toSend > 0 && count - toSend < inFlight; toSend--) send();
    });
  }

  #ask(ask: number, number: number): void {
    const at = this.#writer.frame(HEADER_BYTES);
    writeHeader(this.#writer.slab, at, 0, ask, number);
  }
}

if (import.meta.main) serve(process.argv[2]!);
