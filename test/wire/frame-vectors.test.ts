import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { BodyEncoder } from "../../src/core/contracts/replica-client.ts";
import { BodyPages } from "../../src/wire/body-pages.ts";
import { readMeta } from "../../src/wire/call-frame.ts";
import { ByteReader } from "../../src/wire/codec/reader.ts";
import { StructuredFormat } from "../../src/wire/codec/structured.ts";
import { ControlLink } from "../../src/wire/control-link.ts";
import { FrameReader } from "../../src/wire/frame-reader.ts";
import { readClose, readRequestHead, readResponseHead } from "../../src/wire/exchange-format.ts";
import {
  CallFlag,
  CancelFlag,
  ErrorFlag,
  ExchangeFlag,
  FrameType,
  PartFlag,
  PREAMBLE_BYTES,
  ReplyFlag,
} from "../../src/wire/frames.ts";
import { defaultLimits } from "../../src/wire/limits.ts";
import { SHARED_BYTES } from "../../src/wire/codec/tags.ts";
import { FakeMachine } from "./fake-memory.ts";
import type { ReplicaWebSocket } from "../../src/core/deployment/types.ts";
import { ExchangeCaller } from "./exchange-harness.ts";
import { deferred, TestCall, Wire, wireContext } from "./harness.ts";
import { Link, settle } from "./link.ts";

interface Vector {
  readonly from: "caller" | "replica" | "both";
  readonly comment: string;
  readonly hex: string;
  /** What a reader must make of it. */
  readonly frame: Record<string, unknown>;
}

const { preamble, conversation, exchanges, lending, control, goodbye } = JSON.parse(
  readFileSync(new URL("vectors/frames.json", import.meta.url), "utf8"),
) as {
  preamble: Vector;
  conversation: Vector[];
  lending: Vector[];
  exchanges: Vector[];
  control: Vector;
  goodbye: Vector;
};

const structured = new StructuredFormat();
const nameOf = new Map<number, string>(Object.entries(FrameType).map(([name, type]) => [type, name]));

/** A frame in words, as the vectors describe it. */
function inWords(bytes: Uint8Array): Record<string, unknown> {
  let words: Record<string, unknown> | undefined;
  const reader = new FrameReader(1 << 20, (header, body, start, end) => {
    const { type, flags, aux, id } = header;
    words = { type: nameOf.get(type), flags, aux, id, ...bodyInWords(type, flags, new ByteReader(body, start, end)) };
  });
  reader.push(bytes, 0, bytes.byteLength);
  if (words === undefined) throw new Error("That is not a whole frame.");
  return words;
}

function bodyInWords(type: number, flags: number, body: ByteReader): Record<string, unknown> {
  const rest = (): number[] => [...body.copy()];
  switch (type) {
    case FrameType.METHOD:
      return { name: body.utf8(body.end - body.at) };
    case FrameType.CALL: {
      const number = body.f64();
      const regions: unknown[] = [];
      // The memory is nothing that a vector could hold: the value shows as null.
      body.source = { begin() {}, give: (region) => void regions.push(region) };
      if (!(flags & CallFlag.META)) {
        const args = structured.decodeArgs(body);
        return regions.length === 0 ? { number, args } : { number, args: JSON.parse(JSON.stringify(args)), regions };
      }
      return {
        number,
        meta: metaInWords(body),
        args: structured.decodeArgs(body),
      };
    }
    case FrameType.EXCHANGE: {
      const number = body.f64();
      const meta = flags & ExchangeFlag.META ? { meta: metaInWords(body) } : {};
      const head = readRequestHead(body);
      return { number, ...meta, head, body: rest() };
    }
    case FrameType.PART:
      if (flags & PartFlag.CLOSE) return readClose(body);
      return flags & PartFlag.TEXT ? { text: body.utf8(body.end - body.at) } : { data: rest() };
    case FrameType.ROOM:
      return { bytes: body.u32() };
    case FrameType.RESULT:
      if (flags & ReplyFlag.EXCHANGE) return { head: readResponseHead(body), body: rest() };
      return body.at === body.end ? {} : { value: structured.decode(body) };
    case FrameType.ITEM:
      if (flags & ReplyFlag.HEAD) return { head: readResponseHead(body) };
      if (flags & ReplyFlag.CLOSE) return readClose(body);
      if (flags & ReplyFlag.TEXT) return { text: body.utf8(body.end - body.at) };
      if (flags & ReplyFlag.EXCHANGE) return { data: rest() };
      return { value: structured.decode(body) };
    case FrameType.END:
      return { items: body.f64() };
    case FrameType.ERROR:
      return { ...(flags & ErrorFlag.STREAM ? { items: body.f64() } : {}), error: thrownInWords(body) };
    case FrameType.CANCEL:
      return flags & CancelFlag.REASON ? { reason: thrownInWords(body) } : {};
    case FrameType.CREDIT:
      return { bytes: body.u32() };
    case FrameType.REFUSE:
      return body.at === body.end ? {} : { args: structured.decodeArgs(body) };
    case FrameType.LEND:
      return { offer: Buffer.from(body.copy()).toString("hex") };
    case FrameType.RETURN:
      return { regions: Array.from({ length: (body.end - body.at) / 4 }, () => body.u32()) };
    case FrameType.CONTROL:
      return { message: structured.decode(body) };
    case FrameType.GOODBYE:
      return { reason: body.utf8(body.end - body.at) };
    default:
      return body.at === body.end ? {} : { rest: rest() };
  }
}

function metaInWords(body: ByteReader): Record<string, unknown> {
  const { remainingMs, ...meta } = readMeta(body);
  return { ...meta, remainingMs: remainingMs === Infinity ? null : remainingMs };
}

function thrownInWords(body: ByteReader): unknown {
  const thrown = structured.decode(body);
  if (!(thrown instanceof Error)) return thrown;
  return { name: thrown.name, message: thrown.message, stack: thrown.stack };
}

function fixedError(message: string): Error {
  const error = new RangeError(message);
  error.stack = `RangeError: ${message}\n    at model.ts:1:1`;
  return error;
}

/** What the conversation's replica serves; one call at a time. */
class Model {
  readonly waiting: PromiseWithResolvers<unknown>[] = [];

  echo(...args: unknown[]): unknown {
    return args;
  }

  nothing(): void {}

  fails(): never {
    throw fixedError("out of range");
  }

  throwsText(): never {
    throw "only text";
  }

  *count(to: number): Generator<number> {
    for (let i = 0; i < to; i++) yield i;
  }

  *breaks(): Generator<string> {
    yield "one";
    throw fixedError("after one");
  }

  wait(): Promise<unknown> {
    const work = deferred<unknown>() as PromiseWithResolvers<unknown>;
    this.waiting.push(work);
    return work.promise;
  }
}

interface Spoken {
  readonly from: "caller" | "replica";
  readonly bytes: Uint8Array;
}

/** One conversation with every kind of frame in it, as our own sessions have it. */
async function speak(): Promise<{ preamble: Uint8Array; frames: Spoken[] }> {
  const model = new Model();
  const wire = new Wire(model, { maxOngoingRequests: 1 });
  const caller = wire.caller();
  const encoder: BodyEncoder = new BodyPages(wireContext(wire.clock).formats);
  const link = caller.links[0]!;
  const chunks: Spoken[] = [];
  for (const [end, from] of [
    [link.near, "caller"],
    [link.far, "replica"],
  ] as const) {
    const write = end.write.bind(end);
    end.write = (bytes) => {
      chunks.push({ from, bytes: bytes.slice() });
      return write(bytes);
    };
  }
  await wire.settle();

  await caller.ask("echo", ["a", 1]);
  await caller.ask("echo", [], {
    parent: { requestId: "request-1", route: "/é", traceparent: "" },
    modelId: "model-1",
    priority: -1.5,
    deadlineMs: wire.clock.now() + 250,
    timeoutMs: 1_000,
  });
  await caller.ask("nothing");
  await caller.ask("fails");
  await caller.ask("throwsText");
  await caller.ask("count", [2], { stream: true });
  await caller.ask("breaks", [], { stream: true });

  // Cancelled, with a reason: it ends when its work does.
  const cancelled = await caller.ask("wait");
  caller.cancel(cancelled, fixedError("no longer needed"));
  await wire.settle();
  model.waiting.pop()!.resolve("too late");
  await wire.settle();

  // A stream longer than its credit, granted more, then cancelled without a reason.
  const running = await caller.ask("wait");
  const refused = await caller.ask("echo", ["refused"]);
  const beside = await caller.ask("echo", ["beside the limit"], { broadcast: true });
  const kept = new TestCall("echo", ["kept"]);
  kept.body = encoder.encode(kept);
  caller.session.send(kept);
  await wire.settle();
  caller.session.grant(running, 3, 4_096);
  caller.session.cancel(running, undefined);
  await wire.settle();
  model.waiting.pop()!.resolve(null);
  await wire.settle();

  void wire.replica.drain();
  await wire.settle();
  const late = await caller.ask("nothing");
  expect([refused.outcomes, kept.outcomes, late.outcomes]).toEqual([[], [], []]);
  expect(beside.outcomes).toHaveLength(1);

  const first = chunks.shift()!;
  return {
    // The number of the connection is whichever comes next in this process.
    preamble: first.bytes.slice(0, PREAMBLE_BYTES).fill(0, 7, 8),
    frames: chunks.flatMap(({ from, bytes }) => framesOf(bytes).map((frame) => ({ from, bytes: frame }))),
  };
}

/** What the replica of the exchanges serves. */
class Site {
  async fetch(request: Request): Promise<Response> {
    if (request.method === "GET") return new Response("hi", { headers: { "x-one": "é" } });
    const body = (async function* () {
      yield new Uint8Array(await request.arrayBuffer());
      await new Promise(setImmediate);
      throw fixedError("after one");
    })();
    return new Response(body as unknown as ReadableStream, { status: 201, statusText: "Made" });
  }

  async websocket(socket: ReplicaWebSocket): Promise<void> {
    for await (const message of socket) {
      if (message === "close") socket.close(4001, "why");
      else await socket.send(message);
    }
  }
}

/** Exchanges of every kind, one after another, as our own sessions have them. */
async function exchange(): Promise<Spoken[]> {
  const wire = new Wire(new Site(), { limits: { uploadWindowBytes: 100 } });
  const web = new ExchangeCaller(wire, wire.caller());
  const frames: Spoken[] = [];
  const seen = new Set<Link>();
  const watch = (): void => {
    for (const link of web.caller.links) {
      if (seen.has(link)) continue;
      seen.add(link);
      let introduced = false;
      const write = { near: link.near.write.bind(link.near), far: link.far.write.bind(link.far) };
      link.near.write = (bytes) => {
        const body = introduced ? bytes : bytes.subarray(PREAMBLE_BYTES);
        introduced = true;
        frames.push(...framesOf(body.slice()).map((frame) => ({ from: "caller" as const, bytes: frame })));
        return write.near(bytes);
      };
      link.far.write = (bytes) => {
        frames.push(...framesOf(bytes.slice()).map((frame) => ({ from: "replica" as const, bytes: frame })));
        return write.far(bytes);
      };
    }
  };
  watch();
  web.open({ url: "http://host/items/7?x=1", headers: [["host", "host"]], requestId: "request-1", route: "/shop" });
  await wire.settle();
  const upload = web.open({
    method: "POST",
    url: "http://host/",
    isStreamed: true,
    requestId: "request-2",
    route: "/",
  });
  watch();
  await wire.settle();
  upload.exchange.write(Uint8Array.of(1, 2, 3));
  upload.exchange.end();
  await wire.settle();
  const socket = web.open({ url: "http://host/", webSocket: true, requestId: "request-3", route: "/" });
  await wire.settle();
  socket.exchange.send("tëxt");
  socket.exchange.send(Uint8Array.of(255));
  await wire.settle();
  socket.exchange.end({ code: 4000, reason: "bye" });
  await wire.settle();
  const closed = web.open({ url: "http://host/", webSocket: true, requestId: "request-4", route: "/" });
  await wire.settle();
  closed.exchange.send("close");
  await wire.settle();
  return frames;
}

function framesOf(bytes: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let at = 0; at < bytes.byteLength;) {
    const end = at + 12 + view.getUint32(at, true);
    frames.push(bytes.slice(at, end));
    at = end;
  }
  return frames;
}

/** What two processes that map each other's memory say beside the values. */
async function lend(): Promise<Spoken[]> {
  const machine = new FakeMachine();
  const far = machine.process();
  const wire = new Wire({ size: (bytes: Uint8Array) => bytes.byteLength }, { memory: far });
  const caller = wire.caller({ memory: machine.process() });
  const spoken: Spoken[] = [];
  await caller.ask("size", [[new Uint8Array(SHARED_BYTES)]], { byReference: false });
  for (const [end, from] of [
    [caller.links[0]!.near, "caller"],
    [caller.links[0]!.far, "replica"],
  ] as const) {
    const write = end.write.bind(end);
    end.write = (bytes) => {
      if (bytes.byteLength < SHARED_BYTES)
        spoken.push(...framesOf(bytes.slice()).map((frame) => ({ from, bytes: frame })));
      return write(bytes);
    };
  }
  const bytes = [new Uint8Array(SHARED_BYTES)];
  await caller.ask("size", [bytes]);
  await caller.ask("size", [bytes], { byReference: true });
  far.collect();
  await wire.settle();
  await caller.ask("size", ["by value"], { byReference: false });
  return spoken;
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));

describe("the golden vectors of the frames", () => {
  test.each([...conversation, ...exchanges, ...lending, control, goodbye])("$from: $comment", ({ hex, frame }) => {
    expect(inWords(bytesOf(hex))).toEqual(frame);
  });

  test("every type of frame is there", () => {
    const types = new Set(
      [...conversation, ...exchanges, ...lending, control, goodbye].map(({ frame }) => frame["type"]),
    );
    expect(types).toEqual(new Set(Object.keys(FrameType)));
  });

  test("our caller and replica speak exactly so", async () => {
    const spoken = await speak();
    expect(hexOf(spoken.preamble)).toBe(preamble.hex);
    expect(spoken.frames.map(({ from, bytes }) => `${from} ${hexOf(bytes)}`)).toEqual(
      conversation.map(({ from, hex }) => `${from} ${hex}`),
    );
  });

  test("our processes lend so", async () => {
    const spoken = await lend();
    expect(spoken.map(({ from, bytes }) => `${from} ${hexOf(bytes)}`)).toEqual(
      lending.map(({ from, hex }) => `${from} ${hex}`),
    );
  });

  test("our exchanges look exactly so", async () => {
    const spoken = await exchange();
    expect(spoken.map(({ from, bytes }) => `${from} ${hexOf(bytes)}`)).toEqual(
      exchanges.map(({ from, hex }) => `${from} ${hex}`),
    );
  });

  test("a broken connection ends with a word", async () => {
    const wire = new Wire({});
    const caller = wire.caller();
    await caller.ask("echo");
    const link = caller.links[0]!;
    const sent: string[] = [];
    const write = link.far.write.bind(link.far);
    link.far.write = (bytes) => {
      sent.push(hexOf(bytes));
      return write(bytes);
    };
    link.near.write(bytesOf("000000004d00000000000000"));
    await wire.settle();
    expect(sent).toEqual([goodbye.hex]);
    expect(caller.toldOf("lost")[0]!.error.message).toBe(
      `The other side has ended the connection: ${goodbye.frame["reason"] as string}`,
    );
  });

  test("a control message", async () => {
    const link = new Link();
    const heard: unknown[] = [];
    const sent: string[] = [];
    const write = link.near.write.bind(link.near);
    link.near.write = (bytes) => {
      sent.push(hexOf(bytes));
      return write(bytes);
    };
    const open = (end: Link["near"]): ControlLink<unknown, unknown> => {
      const control = new ControlLink(end, {
        formats: wireContext(new Wire({}).clock).formats,
        limits: defaultLimits,
        onMessage: (message) => heard.push(message),
        onClosed() {},
      });
      end.start(control.lane);
      return control;
    };
    const near = open(link.near);
    open(link.far);
    near.send({ type: "check-health", id: 7 });
    await settle(() => [link]);
    expect(sent).toEqual([control.hex]);
    expect(heard).toEqual([{ type: "check-health", id: 7 }]);
  });
});
