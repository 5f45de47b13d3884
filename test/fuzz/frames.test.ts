import { expect, test } from "vitest";
import { HeliostatError, ProtocolError } from "../../src/core/errors.ts";
import { FrameReader } from "../../src/wire/frame-reader.ts";
import { FrameType, HEADER_BYTES } from "../../src/wire/frames.ts";
import { defaultLimits } from "../../src/wire/limits.ts";
import { SHARED_BYTES } from "../../src/wire/codec/tags.ts";
import { FakeMachine, referenceBytes } from "../wire/fake-memory.ts";
import type { ReplicaWebSocket } from "../../src/core/deployment/types.ts";
import type { Call } from "../../src/core/handle/call.ts";
import { ExchangeCaller } from "../wire/exchange-harness.ts";
import { token, Wire } from "../wire/harness.ts";
import type { Link } from "../wire/link.ts";
import { type Chance, forAWhile } from "./chance.ts";

const limits = { maxMessageBytes: 60_000, maxFrameBytes: 64_000, maxArrayLength: 10_000, maxDepth: 50 };

/** A message may refer to memory that would not fit into it. */
const lendingLimits = { ...limits, maxMessageBytes: 2.5 * SHARED_BYTES };

function frame(chance: Chance, corpus: readonly Uint8Array[]): Uint8Array {
  switch (chance.below(4)) {
    case 0:
      return chance.bytes(chance.below(64));
    case 1: {
      // A whole frame of a known type, with rubbish in it.
      const body = chance.bytes(chance.length());
      const bytes = new Uint8Array(HEADER_BYTES + body.byteLength);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, chance.below(10) === 0 ? chance.below(100_000) : body.byteLength, true);
      view.setUint8(4, chance.below(17));
      view.setUint8(5, chance.below(256));
      view.setUint16(6, chance.one([0, 0, 1, chance.below(65_536)]), true);
      view.setUint32(8, chance.one([0, 1, 1 << 20, chance.below(2 ** 32)]), true);
      bytes.set(body, HEADER_BYTES);
      return bytes;
    }
    default: {
      // What a peer would send, with some bytes changed, cut out or put in.
      if (corpus.length === 0) return chance.bytes(30);
      let bytes = chance.one(corpus).slice();
      for (let n = chance.below(4); n > 0 && bytes.byteLength > 0; n--) {
        const at = chance.below(bytes.byteLength);
        const kind = chance.below(4);
        if (kind === 0) bytes[at] = chance.below(256);
        else if (kind === 1) bytes[at]! ^= 1 << chance.below(8);
        else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + chance.below(9))]);
        else bytes = Buffer.concat([bytes.subarray(0, at), chance.bytes(chance.below(9)), bytes.subarray(at)]);
      }
      return bytes;
    }
  }
}

const target = {
  echo: (...args: unknown[]) => args,
  fails() {
    throw new Error("as it should");
  },
  *items() {
    for (let i = 0; i < 20; i++) yield i;
  },
  later: (value: unknown) => Promise.resolve(value),
  fetch: (request: Request) => new Response(request.body),
  async websocket(socket: ReplicaWebSocket) {
    for await (const message of socket) await socket.send(message);
    socket.close(4000, "done");
  },
};

/** A message that refers to shared memory. */
function referring(id: number, byteLength: number): Uint8Array {
  return Uint8Array.of(2, 0x81, ...referenceBytes({ id, place: id + 100, byteLength }));
}

function frameOf(type: number, id: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + body.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.byteLength, true);
  view.setUint8(4, type);
  view.setUint32(8, id, true);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

/** What two sides say that lend each other memory: `owner` is the number of the process that speaks. */
function lendingFrames(owner: number): Uint8Array[] {
  const call = new Uint8Array(8);
  return [
    frameOf(FrameType.LEND, 0, Uint8Array.of(0xab, owner)),
    frameOf(FrameType.BORROW, 0, call.subarray(0, 0)),
    frameOf(FrameType.RETURN, 0, Uint8Array.of(1, 0, 0, 0)),
    frameOf(FrameType.CALL, 3, Buffer.concat([call, referring(1, SHARED_BYTES)])),
    frameOf(FrameType.CALL, 4, Buffer.concat([call, referring(2, SHARED_BYTES)])),
    frameOf(FrameType.RESULT, 0, referring(1, SHARED_BYTES)),
    frameOf(FrameType.ITEM, 1, referring(1, SHARED_BYTES)),
    frameOf(FrameType.REFUSE, 0, referring(1, SHARED_BYTES)),
  ];
}

/** What goes over the wire when all is well, each way: whole frames. */
async function record(): Promise<{ calls: Uint8Array[]; replies: Uint8Array[] }> {
  const wire = new Wire(target, { limits });
  const caller = wire.caller();
  const link = caller.links[0]!;
  const calls: Uint8Array[] = [];
  const replies: Uint8Array[] = [];
  for (const [end, into] of [
    [link.near, calls],
    [link.far, replies],
  ] as const) {
    const write = end.write.bind(end);
    end.write = (bytes) => {
      into.push(bytes.slice());
      return write(bytes);
    };
  }
  await caller.ask(
    "echo",
    ["text", { a: [1, 2.5, null, undefined] }, 10n, new Map([[1, new Set([2])]]), new Date(0), new Uint8Array(20)],
    {
      parent: { requestId: "r", route: "/x", traceparent: "" },
      priority: 1,
      deadlineMs: wire.clock.now() + 1_000,
      timeoutMs: 1_000,
      modelId: "m",
    },
  );
  await caller.ask("fails");
  await caller.ask("items", [], { stream: true });
  const call = caller.send("later", ["x".repeat(20_000)]);
  caller.cancel(call, new Error("no longer"));
  caller.session.grant(call, 1, 1);
  await wire.settle();
  const web = new ExchangeCaller(wire, caller);
  web.open({ method: "POST", body: "whole", headers: [["x", "1"]] });
  const upload = web.open({ method: "POST", isStreamed: true });
  const socket = web.open({ webSocket: true });
  await wire.settle();
  upload.exchange.write(new Uint8Array(300));
  socket.exchange.send("text");
  await wire.settle();
  upload.exchange.end();
  socket.exchange.end({ code: 4001, reason: "bye" });
  await wire.settle();
  caller.session.close();
  await wire.settle();
  // A recorded preamble must not connect anew.
  const whole = calls[0]!;
  calls[0] = whole.subarray(56);
  return { calls: cutFrames(calls), replies: cutFrames(replies) };
}

function cutFrames(chunks: readonly Uint8Array[]): Uint8Array[] {
  const bytes = Buffer.concat(chunks);
  const frames: Uint8Array[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.byteLength;) {
    const end = at + HEADER_BYTES + bytes.readUInt32LE(at);
    frames.push(Uint8Array.from(bytes.subarray(at, end)));
    at = end;
  }
  return frames;
}

function preamble(peer: number): Uint8Array {
  const bytes = new Uint8Array(56);
  bytes.set([0x48, 0x45, 0x4c, 0x49, 1, 0, 0, 0]);
  bytes.fill(peer, 8, 24);
  bytes.set(token, 24);
  return bytes;
}

/** The errors with which an end was destroyed: what the wire made of what it read. */
function watch(link: Link, side: "near" | "far"): Error[] {
  const errors: Error[] = [];
  const end = link[side];
  const destroy = end.destroy.bind(end);
  end.destroy = (error) => {
    errors.push(error);
    destroy(error);
  };
  return errors;
}

test("a frame reader gives frames or throws a ProtocolError, however its bytes are cut", async () => {
  await forAWhile((chance) => {
    const stream = Buffer.concat(Array.from({ length: 1 + chance.below(6) }, () => frame(chance, [])));
    const read = (chunkBytes: () => number): { frames: string[]; error: unknown } => {
      const frames: string[] = [];
      const reader = new FrameReader(limits.maxFrameBytes, (header, bytes, start, end) =>
        frames.push(
          `${header.type} ${header.flags} ${header.aux} ${header.id} ${Buffer.from(bytes.subarray(start, end)).toString("latin1")}`,
        ),
      );
      try {
        for (let at = 0; at < stream.byteLength;) {
          const end = Math.min(stream.byteLength, at + chunkBytes());
          reader.push(stream, at, end);
          at = end;
        }
      } catch (error) {
        return { frames, error };
      }
      return { frames, error: undefined };
    };
    const whole = read(() => stream.byteLength);
    const cut = read(() => 1 + chance.below(50));
    expect(cut.frames).toEqual(whole.frames);
    for (const { error } of [whole, cut]) if (error !== undefined) expect(error).toBeInstanceOf(ProtocolError);
    expect(cut.error === undefined).toBe(whole.error === undefined);
  });
});

test("a replica answers what a broken caller sends, or hangs up with a ProtocolError, and serves the others", async () => {
  const { calls } = await record();
  expect(new Set(calls.map((bytes) => bytes[4]))).toEqual(
    new Set([FrameType.METHOD, FrameType.CALL, FrameType.CANCEL, FrameType.CREDIT, FrameType.EXCHANGE, FrameType.PART]),
  );
  const machine = new FakeMachine();
  const memory = machine.process();
  const wire = new Wire(target, { limits: lendingLimits, memory });
  const broken = machine.process();
  const region = broken.store(new Uint8Array(SHARED_BYTES))!;
  const other = wire.caller({ peer: 200, memory: machine.process() });
  const corpus = [...calls, ...lendingFrames(1)];
  await forAWhile(async (chance) => {
    const link = wire.raw();
    const destroyed = watch(link, "far");
    link.near.start({ target: undefined, onTarget() {}, onBytes() {}, onWritable() {}, onClosed() {} });
    link.near.write(preamble(100));
    // The methods must be known for anything to come of the rest.
    for (const bytes of calls) if (bytes[4] === FrameType.METHOD) link.near.write(bytes);
    for (let n = chance.below(8); n >= 0; n--) link.near.write(frame(chance, corpus));
    await wire.settle();
    link.near.close();
    await wire.settle();
    memory.collect();
    // What this replica has lent it has back, and nobody else's region was touched.
    expect([memory.regions.size, region.bytes[0]]).toEqual([0, 0]);
    for (const error of destroyed) expect(error).toBeInstanceOf(ProtocolError);
    expect(wire.acceptor.size).toBe(1);
    wire.clock.advance(1e9);
    await wire.settle();
    expect(wire.replica.ongoing).toBe(0);
    expect(wire.deadlines.count).toBe(0);
    wire.links.splice(wire.links.indexOf(link), 1);
    wire.scopes.length = 0;
  });
  expect((await other.ask("echo", [1])).outcomes).toEqual([{ value: [1] }]);
});

test("a caller takes what a broken replica sends, or hangs up with a ProtocolError: every call ends exactly once", async () => {
  const { replies } = await record();
  expect(new Set(replies.map((bytes) => bytes[4]))).toEqual(
    new Set([FrameType.RESULT, FrameType.ERROR, FrameType.ITEM, FrameType.END, FrameType.ROOM]),
  );
  const corpus = [...replies, ...lendingFrames(0)];
  await forAWhile(async (chance) => {
    const machine = new FakeMachine();
    const far = machine.process();
    far.store(new Uint8Array(SHARED_BYTES));
    const near = machine.process();
    const never = (): Promise<never> => new Promise(() => {});
    const wire = new Wire({ never, fetch: never, websocket: never }, { limits: lendingLimits, memory: far });
    const caller = wire.caller({ memory: near });
    const web = new ExchangeCaller(wire, caller);
    const made = [
      caller.send("never"),
      caller.send("never", [], { stream: true }),
      caller.send("never", [], { stream: true }),
    ];
    const told = [web.open(), web.open({ method: "POST", isStreamed: true }), web.open({ webSocket: true })];
    for (const { exchange } of told.slice(1)) exchange.write(chance.bytes(chance.below(2_000)));
    await wire.settle();
    for (let n = chance.below(8); n >= 0; n--) {
      const link = caller.links[0]!;
      if (!link.far.closed) link.far.write(frame(chance, corpus));
      await wire.settle();
    }
    for (const told of caller.toldOf("lost")) {
      // A chunk of another end, or the end of what was sent, is no error of the protocol.
      if (HeliostatError.isInstance(told.error)) expect(told.error).toBeInstanceOf(ProtocolError);
    }
    for (const link of caller.links) link.break(new Error("over"));
    await wire.settle();
    const ended = [
      ...caller.toldOf("finished").map(({ call }) => call),
      ...caller.toldOf("refused").map(({ call }) => call),
      ...caller.toldOf("lost").flatMap(({ lost }) => lost.map(({ call }) => call)),
    ];
    expect(ended.length).toBe(6);
    expect(new Set<Call>(ended)).toEqual(new Set<Call>([...made, ...web.calls]));
    // Whoever opened an exchange hears of its end once, here or from the router, and of nothing afterwards.
    for (const { events } of told) {
      const ends = events.filter((event) => /^(?:end|error)$/.test(event));
      expect(ends.length).toBeLessThanOrEqual(1);
      if (ends.length === 1) expect(events.at(-1)).toBe(ends[0]);
    }
    for (const call of made) expect(call.outcomes.length).toBeLessThanOrEqual(1);
    expect(caller.session.ongoing).toBe(0);
    expect(near.regions.size).toBe(0);
  });
});

test("a header alone costs no memory, on however many connections", () => {
  const header = new Uint8Array(HEADER_BYTES);
  new DataView(header.buffer).setUint32(0, 256 * 1_048_576, true);
  header[4] = FrameType.RESULT;
  const before = process.memoryUsage.rss();
  const readers = Array.from({ length: 40 }, () => {
    const reader = new FrameReader(defaultLimits.maxFrameBytes, () => {});
    reader.push(header, 0, HEADER_BYTES);
    for (let i = 0; i < 20; i++) reader.push(header, 0, HEADER_BYTES);
    return reader;
  });
  expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1_048_576);
  expect(readers.every(({ target: rest }) => rest!.byteLength < 256 * 1_048_576)).toBe(true);
});
