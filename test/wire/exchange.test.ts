import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ProtocolError, RequestTimeoutError, SerializationError } from "../../src/core/errors.ts";
import type { ReplicaWebSocket } from "../../src/core/deployment/types.ts";
import type { ResponseHead } from "../../src/core/http/exchange.ts";
import { ByteWriter } from "../../src/wire/codec/writer.ts";
import { readResponseHead, writeResponseHead } from "../../src/wire/exchange-format.ts";
import { ByteReader } from "../../src/wire/codec/reader.ts";
import { ExchangeFlag, FrameType, HEADER_BYTES, PartFlag, ReplyFlag } from "../../src/wire/frames.ts";
import { ExchangeCaller } from "./exchange-harness.ts";
import { token, Wire, type WireOptions } from "./harness.ts";
import type { Link } from "./link.ts";

/** What the replicas of these tests serve. */
class Site {
  readonly requests: Request[] = [];
  readonly sockets: ReplicaWebSocket[] = [];
  readonly open: PromiseWithResolvers<Response>[] = [];
  socketWork = Promise.withResolvers<void>();

  echo(value: unknown): unknown {
    return value;
  }

  never(): Promise<never> {
    return new Promise(() => {});
  }

  async fetch(request: Request): Promise<Response> {
    this.requests.push(request);
    const { pathname } = new URL(request.url);
    if (pathname === "/echo") return new Response(request.body);
    if (pathname === "/text") return new Response(await request.text(), { headers: { "x-a": "1" } });
    if (pathname === "/large") return new Response(new Uint8Array(3_000_000).fill(5));
    if (pathname === "/wait") {
      const work = Promise.withResolvers<Response>();
      this.open.push(work);
      return work.promise;
    }
    return new Response("hello");
  }

  websocket(socket: ReplicaWebSocket): Promise<void> {
    this.sockets.push(socket);
    return this.socketWork.promise;
  }
}

function open(options: WireOptions = {}): { site: Site; wire: Wire; web: ExchangeCaller } {
  const site = new Site();
  const wire = new Wire(site, options);
  return { site, wire, web: new ExchangeCaller(wire, wire.caller()) };
}

/** Nothing may be left over, whatever happened. */
function expectIdle(wire: Wire, ...callers: ExchangeCaller[]): void {
  expect(wire.replica.ongoing).toBe(0);
  expect(wire.deadlines.count).toBe(0);
  for (const { caller, deadlines } of callers) {
    expect(caller.session.ongoing).toBe(0);
    expect(deadlines.count).toBe(0);
  }
}

/** Types of the frames that are written at an end. */
function framesAt(link: Link, side: "near" | "far"): number[] {
  const types: number[] = [];
  const end = link[side];
  const write = end.write.bind(end);
  end.write = (bytes) => {
    for (let at = 0; at < bytes.byteLength;) {
      types.push(bytes[at + 4]!);
      at += HEADER_BYTES + new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
    }
    return write(bytes);
  };
  return types;
}

describe("an exchange on the wire", () => {
  test("small and whole, it is one frame each way", async () => {
    const { wire, web, site } = open();
    await wire.settle();
    const out = framesAt(web.caller.links[0]!, "near");
    const back = framesAt(web.caller.links[0]!, "far");
    await wire.settle();
    const first = web.open({ method: "POST", url: "http://host/text", body: "body", headers: [["x", "1"]] });
    await wire.settle();
    // The preamble went with the first frame.
    expect(out.at(-1)).toBe(FrameType.EXCHANGE);
    expect(back).toEqual([FrameType.RESULT]);
    expect([first.head?.status, first.text, first.events]).toEqual([200, "body", ["head", "chunk", "end"]]);
    expect([...site.requests[0]!.headers]).toContainEqual(["x", "1"]);
    expectIdle(wire, web);
  });

  test("a body in parts waits until the replica has accepted it, and then for room", async () => {
    const { wire, web, site } = open({ limits: { uploadWindowBytes: 1_000 } });
    const recorder = web.open({ method: "POST", url: "http://host/wait", isStreamed: true });
    const frames = web.caller.links.map((link) => framesAt(link, "near"));
    expect(recorder.exchange.write(new Uint8Array(600))).toBe(false);
    expect(recorder.exchange.write(new Uint8Array(600))).toBe(false);
    recorder.exchange.write(new Uint8Array(600));
    recorder.exchange.end();
    await wire.settle();
    // Two reach the window; the third waits until somebody reads.
    expect(frames.flat().filter((type) => type === FrameType.PART)).toHaveLength(2);
    const text = site.requests[0]!.arrayBuffer();
    await wire.settle();
    expect((await text).byteLength).toBe(1_800);
    expect(frames.flat().filter((type) => type === FrameType.PART)).toHaveLength(4);
    expect(recorder.events).toEqual(["room"]);
    site.open[0]!.resolve(new Response(null, { status: 204 }));
    await wire.settle();
    expect(recorder.events).toEqual(["room", "head", "end"]);
    expectIdle(wire, web);
  });

  test("refused, it comes back as it was, and nothing of a body in parts has left", async () => {
    const { wire, web, site } = open({ maxOngoingRequests: 1 });
    const blocking = web.open({ url: "http://host/wait" });
    await wire.settle();
    const body = new TextEncoder().encode("whole");
    const other = new ExchangeCaller(wire, wire.caller({ peer: 9 }));
    const whole = other.open({ method: "POST", url: "http://host/text", body });
    body.fill(0);
    const streamed = other.open({ method: "POST", url: "http://host/text", isStreamed: true });
    const frames = other.caller.links.map((link) => framesAt(link, "near"));
    streamed.exchange.write(new TextEncoder().encode("in parts"));
    streamed.exchange.end();
    await wire.settle();
    expect(other.caller.toldOf("refused")).toHaveLength(2);
    expect(frames.flat()).not.toContain(FrameType.PART);
    site.open[0]!.resolve(new Response("done"));
    await wire.settle();
    for (const call of other.calls) {
      other.send(call);
      await wire.settle();
    }
    expect([blocking.text, whole.text, streamed.text]).toEqual(["done", "whole", "in parts"]);
    expectIdle(wire, web, other);
  });

  test("chunks that overtake each other on two lanes come in their order, with their error behind them", async () => {
    const { wire, web, site } = open();
    const recorder = web.open({ url: "http://host/wait" });
    await wire.settle();
    const sizes = [10, 200_000, 20, 100_000, 30, 90_000, 70_000, 5];
    site.open[0]!.resolve(
      new Response(
        (async function* () {
          for (const size of sizes) yield new Uint8Array(size).fill(size & 0xff);
          throw new RangeError("behind them");
        })() as unknown as ReadableStream,
      ),
    );
    await wire.settle();
    expect(recorder.chunks.map((chunk) => chunk.byteLength)).toEqual(sizes);
    expect(recorder.chunks.map((chunk) => chunk[0])).toEqual(sizes.map((size) => size & 0xff));
    expect(recorder.error).toBeInstanceOf(RangeError);
    expect(web.caller.links).toHaveLength(2);
    expectIdle(wire, web);
  });

  test("a reader who takes nothing gets a window, and what it takes is made up for", async () => {
    const { wire, web } = open();
    const recorder = web.open({ url: "http://host/large" });
    recorder.takes = false;
    await wire.settle();
    expect(recorder.untaken).toBe(1_048_576);
    while (recorder.untaken > 0) {
      recorder.takeAll();
      recorder.takes = false;
      await wire.settle();
    }
    expect(recorder.bytes.byteLength).toBe(3_000_000);
    expect(recorder.events.at(-1)).toBe("end");
    expectIdle(wire, web);
  });

  test("a line break in a head is an error of this exchange, and nothing is sent", async () => {
    const { wire, web } = open();
    const bad = [
      web.open({ headers: [["x", "1\ny: 2"]] }),
      web.open({ method: "GET\n/" }),
      web.open({ url: "http://host/\nx\ny" }),
    ];
    // Told after the exchange was given.
    expect(bad.map(({ events }) => events)).toEqual([[], [], []]);
    await wire.settle();
    for (const { error } of bad) expect(error).toBeInstanceOf(SerializationError);
    const good = web.open();
    await wire.settle();
    expect(good.text).toBe("hello");
    expectIdle(wire, web);
  });

  test("its deadline is kept by both sides, and an error that came before it is not made of it", async () => {
    const { wire, web, site } = open();
    const recorder = web.open({ url: "http://host/wait", timeoutMs: 1_000 });
    await wire.settle();
    const { signal } = site.requests[0]!;
    wire.clock.advance(999);
    await wire.settle();
    expect([signal.aborted, recorder.events]).toEqual([false, []]);
    wire.clock.advance(20);
    await wire.settle();
    expect(signal.aborted).toBe(true);
    expect(recorder.error).toBeInstanceOf(RequestTimeoutError);
    expect(wire.replica.ongoing).toBe(1);
    site.open[0]!.resolve(new Response("late"));
    await wire.settle();
    expect(recorder.events).toEqual(["error"]);
    expectIdle(wire, web);
  });

  test("messages of a WebSocket go both ways, empty ones too, within their windows", async () => {
    const { wire, web, site } = open({ limits: { uploadWindowBytes: 1_000 } });
    const recorder = web.open({ webSocket: true });
    await wire.settle();
    const socket = site.sockets[0]!;
    // Empty ones cost as well: they are held back like others.
    let count = 0;
    while (recorder.exchange.send("")) count++;
    expect(count).toBe(Math.floor(1_000 / 16));
    recorder.exchange.send("last");
    recorder.exchange.end({ code: 4999, reason: "ende" });
    await wire.settle();
    const messages: unknown[] = [];
    const reading = (async () => {
      for await (const message of socket) messages.push(message);
    })();
    await wire.settle();
    await reading;
    expect(messages).toEqual([...Array(count + 1).fill(""), "last"]);
    expect(await socket.closed).toEqual({ code: 4999, reason: "ende" });
    // A handler that only sends hears that there is nobody left.
    await expect(socket.send("too late")).rejects.toThrow("closed (code 4999");
    site.socketWork.resolve();
    await wire.settle();
    expect(recorder.events.filter((event) => event !== "room")).toEqual(["head", "end"]);
    expectIdle(wire, web);
  });

  test("sending waits for the client; a close goes behind what was sent before", async () => {
    const { wire, web, site } = open();
    const recorder = web.open({ webSocket: true });
    recorder.takes = false;
    await wire.settle();
    const socket = site.sockets[0]!;
    const settled: number[] = [];
    for (let i = 0; i < 4; i++) void socket.send(new Uint8Array(524_288)).then(() => settled.push(i));
    await wire.settle();
    expect([recorder.messages.length, settled]).toEqual([2, [0]]);
    recorder.takeAll();
    recorder.takes = false;
    await wire.settle();
    expect([recorder.messages.length, settled]).toEqual([4, [0, 1, 2]]);
    void socket.send("behind");
    socket.close(1000, "done");
    await wire.settle();
    expect(recorder.messages.at(-1)).toBe("behind");
    expect(recorder.close).toEqual({ code: 1000, reason: "done" });
    expect(settled).toEqual([0, 1, 2, 3]);
    expect(() => socket.close(1005)).toThrow("cannot be closed with code 1005");
    expect(() => socket.close(1000, "é".repeat(62))).toThrow("more than 123 bytes");
    recorder.exchange.end({ code: 1000, reason: "" });
    await wire.settle();
    expect(await socket.closed).toEqual({ code: 1000, reason: "" });
    site.socketWork.resolve();
    await wire.settle();
    expectIdle(wire, web);
  });

  test("whatever the order of bytes, ends and reads, a body arrives whole and in order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 5_000 }),
        fc.boolean(),
        async (sizes, uploadWindowBytes, keeps) => {
          const link = { keeps: () => keeps };
          const { wire, web } = open({ link, limits: { uploadWindowBytes } });
          const recorder = web.open({ method: "PUT", url: "http://host/echo", isStreamed: true });
          for (const [i, size] of sizes.entries()) {
            recorder.exchange.write(new Uint8Array(size).fill(i));
            if (size % 3 === 0) await wire.settle();
          }
          recorder.exchange.end();
          await wire.settle();
          expect(recorder.events.at(-1)).toBe("end");
          expect([...recorder.bytes]).toEqual(sizes.flatMap((size, i) => Array(size).fill(i) as number[]));
          expectIdle(wire, web);
        },
      ),
      { numRuns: 40 },
    );
  });
});

/** Bytes of a frame. */
function frame(type: number, flags: number, id: number, body: Uint8Array | string = "", aux = 0): Uint8Array {
  const data = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const bytes = new Uint8Array(HEADER_BYTES + data.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.byteLength, true);
  view.setUint8(4, type);
  view.setUint8(5, flags);
  view.setUint16(6, aux, true);
  view.setUint32(8, id, true);
  bytes.set(data, HEADER_BYTES);
  return bytes;
}

function exchangeFrame(id: number, flags: number, head = "GET\nhttp://host/wait"): Uint8Array {
  const text = new TextEncoder().encode(head);
  const body = new Uint8Array(12 + text.byteLength);
  new DataView(body.buffer).setUint32(8, text.byteLength, true);
  body.set(text, 12);
  return frame(FrameType.EXCHANGE, flags, id, body);
}

function headBody(status = 200): Uint8Array {
  const out = new ByteWriter();
  writeResponseHead(out, { status, statusText: "", headers: [] });
  return out.copy();
}

const preamble = (): Uint8Array => {
  const bytes = new Uint8Array(56);
  bytes.set([0x48, 0x45, 0x4c, 0x49, 1, 0, 0, 0]);
  bytes.fill(3, 8, 24);
  bytes.set(token, 24);
  return bytes;
};

describe("a peer that breaks the rules of exchanges loses its connection, and nobody else does", () => {
  const method = frame(FrameType.METHOD, 0, 0, "never");
  const call = frame(FrameType.CALL, 0, 0, new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]));
  test.each<[string, Uint8Array[]]>([
    ["a part of a plain call", [method, call, frame(FrameType.PART, 0, 0, "x")]],
    ["a part of an exchange that came whole", [exchangeFrame(0, 0), frame(FrameType.PART, 0, 0, "x")]],
    [
      "more parts than there is room for",
      [
        exchangeFrame(0, ExchangeFlag.PARTS, "POST\nhttp://host/wait"),
        frame(FrameType.PART, 0, 0, new Uint8Array(2_000)),
        frame(FrameType.PART, 0, 0, "x"),
      ],
    ],
    [
      "a part behind the last",
      [
        exchangeFrame(0, ExchangeFlag.PARTS, "POST\nhttp://host/wait"),
        frame(FrameType.PART, PartFlag.LAST, 0),
        frame(FrameType.PART, 0, 0, "x"),
      ],
    ],
    [
      "a text message for a plain request",
      [exchangeFrame(0, ExchangeFlag.PARTS, "POST\nhttp://host/wait"), frame(FrameType.PART, PartFlag.TEXT, 0, "x")],
    ],
    ["an index that is in use", [exchangeFrame(0, 0), exchangeFrame(0, 0)]],
    [
      "a close that is cut short",
      [
        exchangeFrame(0, ExchangeFlag.PARTS | ExchangeFlag.WEB_SOCKET),
        frame(FrameType.PART, PartFlag.LAST | PartFlag.CLOSE, 0, "x"),
      ],
    ],
    ["room, which only a replica gives", [exchangeFrame(0, 0), frame(FrameType.ROOM, 0, 0, new Uint8Array(4))]],
  ])("a caller: %s", async (_what, frames) => {
    const { wire, web } = open({ limits: { uploadWindowBytes: 1_000 } });
    const link = wire.raw();
    const errors: Error[] = [];
    const destroy = link.far.destroy.bind(link.far);
    link.far.destroy = (error) => {
      errors.push(error);
      destroy(error);
    };
    link.near.start({ target: undefined, onTarget() {}, onBytes() {}, onWritable() {}, onClosed() {} });
    link.near.write(preamble());
    for (const bytes of frames) link.near.write(bytes);
    await wire.settle();
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBeInstanceOf(ProtocolError);
    const good = web.open();
    await wire.settle();
    expect(good.text).toBe("hello");
  });

  test("a head without a URL, or with half a field, is an error of that exchange", async () => {
    const { wire } = open();
    const link = wire.raw();
    const back = framesAt(link, "far");
    link.near.start({ target: undefined, onTarget() {}, onBytes() {}, onWritable() {}, onClosed() {} });
    link.near.write(preamble());
    link.near.write(exchangeFrame(0, 0, "GET"));
    link.near.write(exchangeFrame(1, 0, "GET\nhttp://host/\nname"));
    await wire.settle();
    expect(back).toEqual([FrameType.ERROR, FrameType.ERROR]);
    expect(wire.replica.ongoing).toBe(0);
  });

  const chunk = (aux: number): Uint8Array => frame(FrameType.ITEM, ReplyFlag.EXCHANGE, 0, "x", aux);
  const head = (aux: number): Uint8Array =>
    frame(FrameType.ITEM, ReplyFlag.EXCHANGE | ReplyFlag.HEAD, 0, headBody(), aux);
  const end = (items: number): Uint8Array => {
    const body = new Uint8Array(8);
    new DataView(body.buffer).setFloat64(0, items, true);
    return frame(FrameType.END, 0, 0, body);
  };
  test.each<[string, Uint8Array[]]>([
    ["a chunk before the head", [chunk(0)]],
    ["two heads", [head(0), head(1)]],
    ["an end without a head", [end(0)]],
    ["all of it behind the head", [head(0), frame(FrameType.RESULT, ReplyFlag.EXCHANGE, 0, headBody())]],
    ["a value for an answer", [frame(FrameType.RESULT, 0, 0, Uint8Array.of(0x80))]],
    ["nothing for an answer", [frame(FrameType.RESULT, 0, 0)]],
    ["an item that is a value", [head(0), frame(FrameType.ITEM, 0, 0, Uint8Array.of(0x80), 1)]],
    ["a text message", [head(0), frame(FrameType.ITEM, ReplyFlag.EXCHANGE | ReplyFlag.TEXT, 0, "x", 1)]],
    ["a head that is cut short", [frame(FrameType.ITEM, ReplyFlag.EXCHANGE | ReplyFlag.HEAD, 0, "x")]],
    ["a head with a status that there is not", [frame(FrameType.RESULT, ReplyFlag.EXCHANGE, 0, headBody(99))]],
  ])("a replica: %s fails that exchange and no other", async (_what, frames) => {
    const { wire, web, site } = open();
    const recorder = web.open({ url: "http://host/wait" });
    const neighbour = web.open({ url: "http://host/wait" });
    await wire.settle();
    const link = web.caller.links[0]!;
    for (const bytes of frames) link.far.write(bytes);
    await wire.settle();
    expect(recorder.error).toBeInstanceOf(ProtocolError);
    expect(web.caller.toldOf("lost")).toEqual([]);
    for (const work of site.open) work.resolve(new Response("unharmed"));
    await wire.settle();
    expect(neighbour.text).toBe("unharmed");
    expect(recorder.events.at(-1)).toBe("error");
    expectIdle(wire, web);
  });

  test("a replica: a part, which only a caller sends, ends the connection", async () => {
    const { wire, web } = open();
    web.open({ url: "http://host/wait" });
    await wire.settle();
    web.caller.links[0]!.far.write(frame(FrameType.PART, 0, 0, "x"));
    await wire.settle();
    expect(web.caller.toldOf("lost")).toMatchObject([{ error: expect.any(ProtocolError), lost: [{}] }]);
  });

  test("a replica: room for a plain call ends the connection", async () => {
    const { wire, web } = open();
    web.caller.send("never");
    await wire.settle();
    web.caller.links[0]!.far.write(frame(FrameType.ROOM, 0, 0, new Uint8Array(4)));
    await wire.settle();
    expect(web.caller.toldOf("lost")[0]!.error).toBeInstanceOf(ProtocolError);
  });
});

test("a head is read as it was written, whatever HTTP lets be in it", () => {
  const text = fc.string({
    unit: fc
      .integer({ min: 0x20, max: 0xff })
      .filter((code) => code !== 0x7f && (code < 0x7f || code > 0x9f))
      .map((code) => String.fromCharCode(code)),
  });
  const name = fc.string({ unit: fc.constantFrom(..."abcXYZ019-_!#$%&'*+.^`|~".split("")), minLength: 1 });
  fc.assert(
    fc.property(
      fc.integer({ min: 200, max: 599 }),
      text,
      fc.array(fc.tuple(name, text)),
      (status, statusText, headers) => {
        const out = new ByteWriter();
        writeResponseHead(out, { status, statusText, headers });
        expect(readResponseHead(new ByteReader(out.bytes, 0, out.at))).toEqual({ status, statusText, headers });
      },
    ),
  );
});

test.each<[string, ResponseHead]>([
  ["a status below 200", { status: 103, statusText: "", headers: [] }],
  ["a status above 599", { status: 600, statusText: "", headers: [] }],
  ["a carriage return in the reason", { status: 200, statusText: "a\rb", headers: [] }],
  ["a NUL in a value", { status: 200, statusText: "", headers: [["x", "a\0b"]] }],
  ["a letter that is no byte", { status: 200, statusText: "", headers: [["x", "\u65e5"]] }],
  ["a name with a space", { status: 200, statusText: "", headers: [["x y", "1"]] }],
  ["no name", { status: 200, statusText: "", headers: [["", "1"]] }],
  ["a name with a colon", { status: 200, statusText: "", headers: [["x:", "1"]] }],
])("a head with %s is refused where it is read", (_what, head) => {
  const out = new ByteWriter();
  writeResponseHead(out, head);
  expect(() => readResponseHead(new ByteReader(out.bytes, 0, out.at))).toThrow(ProtocolError);
});
