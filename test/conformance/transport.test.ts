import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MessageChannel, Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ProtocolError } from "../../src/core/errors.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import { portTransport } from "../../src/transport/message-port.ts";
import { connectSocket, listenSocket } from "../../src/transport/socket.ts";
import { PREAMBLE_BYTES } from "../../src/wire/frames.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { Lane } from "../../src/wire/lane.ts";
import { PreambleReceiver } from "../../src/wire/preamble.ts";
import { defaultLimits } from "../../src/wire/limits.ts";
import type { Transport } from "../../src/wire/transport.ts";
import { describeTransport, type OpenedTransports, pattern, quiet, Sink, write } from "./transport.ts";

let directory: string;
let sockets = 0;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "heliostat-test-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const socketPath = (): string => join(directory, `${++sockets}.sock`);

async function openSocket(): Promise<OpenedTransports> {
  const path = socketPath();
  let accepted!: (transport: Transport) => void;
  const far = new Promise<Transport>((resolve) => {
    accepted = resolve;
  });
  const listener = await listenSocket(path, accepted);
  const near = connectSocket(path);
  return { near, far: await far, close: () => listener.close() };
}

function openPorts(): Promise<OpenedTransports> {
  const { port1, port2 } = new MessageChannel();
  return Promise.resolve({
    near: portTransport(port1),
    far: portTransport(port2),
    close: () => {
      port1.close();
      port2.close();
    },
  });
}

function openMemory(): Promise<OpenedTransports> {
  const [near, far] = memoryPair();
  return Promise.resolve({ near, far, close: () => near.close() });
}

describeTransport("unix socket", { backPressure: true, targets: true }, openSocket);
describeTransport("message port", { backPressure: false, targets: false }, openPorts);
describeTransport("memory", { backPressure: false, targets: false }, openMemory);

describe("unix socket", () => {
  test("while a write is kept, its memory is still the transport's", async () => {
    const path = socketPath();
    const server = createServer({ pauseOnConnect: true });
    const accepted = once(server, "connection") as Promise<[Socket]>;
    await new Promise<void>((resolve) => void server.listen(path, resolve));
    const near = connectSocket(path);
    const sink = new Sink();
    near.start(sink);
    await sink.until(() => near.connected);
    const [far] = await accepted;
    // The far side does not read: the kernel's buffers fill, the rest is kept.
    const large = pattern(4_000_000, 4);
    expect(near.write(large)).toBe(false);
    await quiet();
    expect(sink.writable).toBe(1); // Of the connection itself.
    const chunks: Buffer[] = [];
    far.on("data", (chunk: Buffer) => chunks.push(chunk));
    far.resume();
    await sink.until(() => sink.writable === 2);
    near.close();
    await sink.until(() => sink.closed.length > 0);
    expect(Buffer.concat(chunks).equals(large)).toBe(true);
    server.close();
  });

  test("connecting to nothing shows as onClosed with the error", async () => {
    const near = connectSocket(join(directory, "nothing.sock"));
    const sink = new Sink();
    sink.guard(() => near.start(sink));
    expect(near.connected).toBe(false);
    await sink.until(() => sink.closed.length > 0);
    await quiet();
    expect(sink.closed).toEqual([expect.objectContaining({ code: "ENOENT" })]);
    expect(sink.writable).toBe(0);
  });

  test("a connection that is closed before it stands ends without an error", async () => {
    const path = socketPath();
    const listener = await listenSocket(path, (far) => far.start(new Sink()));
    const near = connectSocket(path);
    const sink = new Sink();
    near.start(sink);
    near.close();
    await sink.until(() => sink.closed.length > 0);
    expect(sink.closed).toEqual([undefined]);
    expect(sink.writable).toBe(0);
    listener.close();
  });

  test("the path of a listener that is closed is free again, and of one that is open it is not", async () => {
    const path = socketPath();
    const first = await listenSocket(path, () => {});
    await expect(listenSocket(path, () => {})).rejects.toMatchObject({ code: "EADDRINUSE" });
    first.close();
    first.close();
    const second = await listenSocket(path, () => {});
    second.close();
  });
});

describe("memory", () => {
  test("the end of a refused connection is not connected", () => {
    const [near, far] = memoryPair();
    far.close();
    expect(near.connected).toBe(false);
  });
});

describe("message port across threads", () => {
  const echo = `
    const { parentPort } = require("node:worker_threads");
    parentPort.once("message", (port) => {
      port.on("message", (message) => {
        if (message instanceof Uint8Array) { if (message[0] === 0xff) process.exit(); port.postMessage(message); }
        else port.close();
      });
    });
  `;

  async function openWorker(): Promise<{ near: Transport; sink: Sink; worker: Worker }> {
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker(echo, { eval: true, execArgv: [] });
    worker.postMessage(port2, [port2]);
    const near = portTransport(port1);
    const sink = new Sink();
    near.start(sink);
    return { near, sink, worker };
  }

  test("bytes go there and back, and close ends both", async () => {
    const { near, sink, worker } = await openWorker();
    const chunks = Array.from({ length: 30 }, (_, i) => pattern(1_000 * i + 1, i).fill(0, 0, 1));
    for (const chunk of chunks) await write(near, sink, chunk);
    const all = Buffer.concat(chunks);
    await sink.until(() => sink.length === all.byteLength);
    expect(sink.bytes().equals(all)).toBe(true);
    near.close();
    await sink.until(() => sink.closed.length > 0);
    expect(sink.closed).toEqual([undefined]);
    await worker.terminate();
  });

  test("the death of the other thread is heard of", async () => {
    const { near, sink, worker } = await openWorker();
    await write(near, sink, Uint8Array.of(1));
    await sink.until(() => sink.length === 1);
    near.write(Uint8Array.of(0xff));
    await sink.until(() => sink.closed.length > 0);
    near.write(Uint8Array.of(1));
    near.close();
    await quiet();
    expect(sink.closed).toHaveLength(1);
    await worker.terminate();
  });
});

describe("preamble", () => {
  const token = new Uint8Array(32).fill(9);

  function preamble(change: (bytes: Uint8Array) => void = () => {}): Uint8Array {
    const bytes = new Uint8Array(PREAMBLE_BYTES);
    bytes.set([0x48, 0x45, 0x4c, 0x49, 1, 0, 1, 200]);
    bytes.fill(0xab, 8, 24);
    bytes.set(token, 24);
    change(bytes);
    return bytes;
  }

  /** How long to wait after the last byte. */
  let wait = 0;
  afterEach(() => {
    wait = 0;
  });

  interface Offered {
    readonly peers: unknown[];
    readonly frames: number;
    readonly answered: number;
    /** How the connection ended on each side, if it did. */
    readonly near: (Error | undefined)[];
    readonly far: (Error | undefined)[];
  }

  /** What a listener makes of what arrives. */
  async function offer(...chunks: Uint8Array[]): Promise<Offered> {
    const clock = new ManualClock();
    const [near, far] = memoryPair();
    const peers: unknown[] = [];
    const closed: (Error | undefined)[] = [];
    let frames = 0;
    const receiver = new PreambleReceiver(far, {
      clock,
      token,
      lanes: [0, 1],
      onPeer: (peer) => {
        peers.push(peer);
        const onLaneClosed = (_: unknown, error: Error | undefined) => void closed.push(error);
        return new Lane(far, defaultLimits, { onFrame: () => frames++, onLaneClosed });
      },
    });
    far.start({
      get target() {
        return receiver.target;
      },
      onTarget: (length) => receiver.onTarget(length),
      onBytes: (bytes, start, end) => receiver.onBytes(bytes, start, end),
      onWritable: () => receiver.onWritable(),
      onClosed: (error) => {
        if (peers.length === 0) closed.push(error);
        receiver.onClosed(error);
      },
    });
    const sink = new Sink();
    near.start(sink);
    for (const chunk of chunks) {
      near.write(chunk);
      await new Promise(setImmediate);
    }
    await quiet();
    // Who has said who it is may be silent for as long as it likes.
    clock.advance(wait);
    await quiet();
    const result = { peers: [...peers], frames, answered: sink.length, near: [...sink.closed], far: [...closed] };
    near.close();
    await quiet();
    return result;
  }

  const frame = Uint8Array.of(0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0);

  test("the right one hands the connection over, with what follows in the same bytes", async () => {
    const { peers, frames } = await offer(Buffer.concat([preamble(), frame, frame]));
    expect(peers).toEqual([{ peerId: "ab".repeat(16), connection: 200, lane: 1 }]);
    expect(frames).toBe(2);
  });

  test("it may come byte by byte", async () => {
    const { peers, frames } = await offer(
      ...Array.from(Buffer.concat([preamble(), frame]), (byte) => Uint8Array.of(byte)),
    );
    expect(peers).toHaveLength(1);
    expect(frames).toBe(1);
  });

  test.each<[string, Uint8Array]>([
    ["another magic", preamble((bytes) => (bytes[0] = 0x47))],
    ["a newer version", preamble((bytes) => (bytes[4] = 2))],
    ["a lane that there is not", preamble((bytes) => (bytes[6] = 3))],
    ["the first byte of the secret", preamble((bytes) => (bytes[24] = 8))],
    ["the last byte of the secret", preamble((bytes) => (bytes[55] = 8))],
    ["no secret", preamble((bytes) => bytes.fill(0, 24))],
    ["an HTTP request", Buffer.from(`GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n${"x".repeat(80)}\r\n\r\n`)],
  ])("%s ends the connection without an answer, and nothing behind it is read", async (_, bytes) => {
    const { peers, frames, answered, near, far } = await offer(bytes, frame, preamble(), frame);
    expect(peers).toEqual([]);
    expect(frames).toBe(0);
    expect(answered).toBe(0);
    expect(near).toHaveLength(1);
    expect(far).toEqual([expect.any(ProtocolError)]);
  });

  test("a part of it is not enough", async () => {
    const { peers, near } = await offer(preamble().subarray(0, 55));
    expect(peers).toEqual([]);
    expect(near).toEqual([]);
  });

  test("a part of it, and nothing more for ten seconds, ends the connection; the whole of it does not", async () => {
    wait = 10_000;
    const { peers, near, far } = await offer(preamble().subarray(0, 55));
    expect(peers).toEqual([]);
    expect(near).toHaveLength(1);
    expect(far).toEqual([expect.any(ProtocolError)]);
    expect((await offer(preamble())).near).toEqual([]);
  });

  test("a control connection is not for callers", async () => {
    const { peers, far } = await offer(preamble((bytes) => (bytes[6] = 2)));
    expect(peers).toEqual([]);
    expect(far).toEqual([expect.any(ProtocolError)]);
  });
});
