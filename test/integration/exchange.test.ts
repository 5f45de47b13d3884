import { BackPressureError, ReplicaDiedError, RequestTimeoutError, serve } from "heliostat";
import { describe, expect, it } from "vitest";
import { openInstances } from "../../src/app/serve.ts";
import type { OpenExchange } from "../../src/core/http/exchange.ts";
import { inner, web } from "../fixtures/web.ts";
import { ExchangeRecorder, type RequestFields } from "../support/exchange-recorder.ts";
import { failureOf, type Mode, quiet, start, until } from "./harness.ts";

const app = () => web.bind(inner.bind() as never);

function opener(): OpenExchange {
  return openInstances()[0]!.openExchange;
}

/** Opens an exchange with the default application. */
function request(path: string, fields: RequestFields = {}): ExchangeRecorder {
  return new ExchangeRecorder(opener(), { url: `http://localhost:8000${path}`, ...fields });
}

async function ask(path: string, fields: RequestFields = {}): Promise<ExchangeRecorder> {
  const recorder = request(path, fields);
  await recorder.over;
  return recorder;
}

describe.each<Mode>(["processes", "local"])("operations H4 to H16, an exchange (%s)", (mode) => {
  it("H4: the class sees method, URL, query and headers as sent", async () => {
    await using _ = await start(mode, app());
    const headers = [
      ["host", "shop.example:8000"],
      ["x-twice", "1"],
      ["x-twice", "2"],
      ["cookie", "a=1; b=2"],
      ["x-latin", "caf\u00e9"],
    ] as const;
    const { text, head } = await ask("/json?a=1&b=%20%2F", { method: "DELETE", headers });
    expect(head?.status).toBe(200);
    expect(JSON.parse(text)).toEqual({
      method: "DELETE",
      url: "http://localhost:8000/json?a=1&b=%20%2F",
      headers: [
        ["cookie", "a=1; b=2"],
        ["host", "shop.example:8000"],
        ["x-latin", "caf\u00e9"],
        ["x-twice", "1, 2"],
      ],
    });
  });

  it("H5: status, text, headers and body of the Response arrive, several Set-Cookie as several", async () => {
    await using _ = await start(mode, app());
    const { head, text, events } = await ask("/cookies");
    expect(head).toMatchObject({ status: 201, statusText: "Made" });
    expect(head!.headers.filter(([name]) => name === "set-cookie")).toEqual([
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ]);
    expect(text).toBe("cookies");
    expect(events).toEqual(["head", "chunk", "end"]);
  });

  it("H5: answers to HEAD, 204 and 304 have no body", async () => {
    await using _ = await start(mode, app());
    const answers = [await ask("/cookies", { method: "HEAD" }), await ask("/empty"), await ask("/not-modified")];
    expect(answers.map(({ head }) => head!.status)).toEqual([201, 204, 304]);
    expect(answers.map(({ events }) => events)).toEqual(Array(3).fill(["head", "end"]));
    // The producer of a body that nobody wants never runs.
    await ask("/drip", { method: "HEAD" });
    await quiet();
  });

  it("H5: generators, streams of handles and events stream, in the request's context", async () => {
    await using _ = await start(mode, app());
    expect((await ask("/generator?n=4", { requestId: "me" })).text).toBe("me:0;me:1;me:2;me:3;");
    expect((await ask("/handle")).text).toBe("abc");
    expect((await ask("/sse")).text).toBe("data: a\n\ndata: b\n\ndata: c\n\n");
  });

  it("H5: every chunk is sent on at once", async () => {
    await using _ = await start(mode, app());
    const recorder = request("/drip");
    await recorder.until(() => recorder.chunks.length === 3);
    expect(recorder.chunks.map((chunk) => Buffer.from(chunk).toString())).toEqual(["0\n", "1\n", "2\n"]);
    recorder.exchange.cancel();
    await quiet();
  });

  it("H5: an error behind the head comes after the chunks before it", async () => {
    await using _ = await start(mode, app());
    const { head, text, events, error } = await ask("/breaks");
    expect([head?.status, text]).toEqual([200, "before"]);
    expect(events).toEqual(["head", "chunk", "error"]);
    expect(error).toBeInstanceOf(RangeError);
  });

  it("H5: a slow reader stops the producer", async () => {
    await using running = await start(mode, app());
    const recorder = request("/flood");
    recorder.takes = false;
    await recorder.until(() => recorder.untaken >= 1_048_576);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { produced } = await running.handle.stats.remote();
    expect(recorder.untaken).toBeLessThan(1_048_576 + 2 * 65_536);
    expect(produced).toBeLessThan(20);
    recorder.takeAll();
    await recorder.until(() => recorder.bytes.byteLength > 3_000_000);
    recorder.exchange.cancel();
    await until(async () => (await running.handle.log.remote()).includes("flood: returned"), "the generator is open");
    await quiet();
  });

  it("H4: small bodies go along, large ones stream both ways, whatever their parts are", async () => {
    await using _ = await start(mode, app());
    expect((await ask("/text", { method: "POST", body: "süß" })).text).toBe("süß");
    const body = Buffer.from(Array.from({ length: 700_000 }, (_value, i) => (i * 7) & 0xff));
    const whole = await ask("/echo", { method: "PUT", body: Uint8Array.from(body) });
    expect(Buffer.compare(whole.bytes, body)).toBe(0);
    const streamed = request("/echo", { method: "PUT", isStreamed: true });
    for (let at = 0, step = 1; at < body.byteLength; at += step, step = Math.min(step * 5, 300_000)) {
      // A proxy reads into a Buffer that it uses again.
      const part = Buffer.from(body.subarray(at, at + step));
      const written = streamed.write(part);
      part.fill(0);
      await written;
    }
    streamed.exchange.end();
    await streamed.over;
    expect(Buffer.compare(streamed.bytes, body)).toBe(0);
  });

  it("H4: nothing of a body is sent before it is accepted, and no more than a window before it is read", async () => {
    await using _ = await start(mode, app());
    const recorder = request("/unread", { method: "POST", isStreamed: true });
    let sent = 0;
    const chunk = new Uint8Array(65_536);
    while (recorder.exchange.write(chunk) || !recorder.events.includes("room")) {
      sent += chunk.byteLength;
      await recorder.until(() => recorder.events.includes("room"));
      if (sent > 10_000_000) break;
    }
    expect(sent).toBeLessThan(700_000);
    await recorder.over;
    expect(recorder.text).toBe("waited");
    expect(recorder.exchange.write(chunk)).toBe(true);
  });

  it("H5: an answer before the body was read ends the exchange", async () => {
    await using _ = await start(mode, app());
    const recorder = request("/ignore-body", { method: "POST", isStreamed: true });
    recorder.exchange.write(new Uint8Array(100_000));
    await recorder.over;
    expect([recorder.head?.status, recorder.text]).toEqual([413, "no, thank you"]);
    await quiet();
  });

  it("H6: id and route are those of the request, also in calls made for it", async () => {
    await using _ = await start(mode, app());
    const { text } = await ask("/nested", { requestId: "from-outside", route: "/shop", timeoutMs: 5_000 });
    expect(JSON.parse(text)).toEqual({ requestId: "from-outside", route: "/shop", traceparent: "", hasDeadline: true });
  });

  it("H7: what fetch throws, and what is no Response, are errors", async () => {
    await using _ = await start(mode, app());
    expect((await ask("/throws")).error).toMatchObject({ name: "RangeError", message: "out of range" });
    const { error, events } = await ask("/nothing");
    expect(events).toEqual(["error"]);
    expect(String(error)).toContain("Web.fetch gave string; it must give a Response");
  });

  it("H8: a client that leaves cancels the request, its signal and the calls made for it", async () => {
    await using running = await start(mode, app());
    const recorder = request("/hang");
    await until(async () => (await running.handle.log.remote()).includes("started"), "it has not begun");
    recorder.exchange.cancel(new Error("the client is gone"));
    await until(async () => (await running.handle.log.remote()).length === 3, "it goes on");
    expect((await running.handle.log.remote()).toSorted()).toEqual([
      "inner: RequestCancelledError",
      "request: AbortError",
      "started",
    ]);
    await quiet();
    expect(recorder.events).toEqual([]);
  });

  it("H8: a client that leaves in the middle of a body ends its producer", async () => {
    await using running = await start(mode, app());
    const recorder = request("/drip");
    await recorder.until(() => recorder.chunks.length > 0);
    recorder.exchange.cancel();
    await until(
      async () => (await running.handle.log.remote()).includes("drip: returned, aborted: true"),
      "the generator is open",
    );
    await quiet();
  });

  it("H8: a client that leaves in the middle of its upload cancels whoever reads it", async () => {
    await using _ = await start(mode, app());
    const recorder = request("/size", { method: "POST", isStreamed: true });
    await recorder.write(new Uint8Array(1_000));
    recorder.exchange.cancel();
    // The place is free again only if the reader was told.
    await quiet();
    expect(recorder.events.filter((event) => event !== "room")).toEqual([]);
  });

  it("H8: a request that is too slow is stopped, in front of its head and behind it", async () => {
    await using running = await start(mode, app());
    for (const path of ["/hang", "/drip"]) {
      const { error, events } = await ask(path, { timeoutMs: 150 });
      expect(error).toBeInstanceOf(RequestTimeoutError);
      expect(error).toMatchObject({ timeoutMs: 150, stopped: true });
      expect(events.includes("head")).toBe(path === "/drip");
    }
    await quiet();
    expect(await running.handle.log.remote()).toContain("drip: returned, aborted: true");
  });

  it("H7: back-pressure and a missing application are errors of the exchange, told after it was given", async () => {
    await using _ = await start(
      mode,
      web.options({ maxOngoingRequests: 1, maxQueuedRequests: 1 }).bind(inner.bind() as never),
    );
    const running = request("/slow?ms=300");
    const waiting = request("/hello");
    await until(() => openInstances()[0]!.caller.leftovers().join().includes("1 queued"), "nothing waits");
    const refused = request("/hello");
    expect(refused.events).toEqual([]);
    await refused.over;
    expect(refused.error).toBeInstanceOf(BackPressureError);
    await Promise.all([running.over, waiting.over]);
    expect([running.error, waiting.text]).toEqual([undefined, "hello"]);
    const nowhere = new ExchangeRecorder(opener(), {}, "no such app");
    await nowhere.over;
    expect(nowhere.error).toMatchObject({ code: "DEPLOYMENT_UNAVAILABLE" });
    await quiet();
  });

  it("H8: a request that still waits is never begun once its client has left", async () => {
    await using running = await start(mode, web.options({ maxOngoingRequests: 1 }).bind(inner.bind() as never));
    const first = request("/slow?ms=200");
    const second = request("/hang");
    second.exchange.cancel();
    await first.over;
    await quiet();
    expect(await running.handle.log.remote()).toEqual([]);
  });

  it("H13: a WebSocket echoes text and bytes, and its close reaches the replica as an end", async () => {
    await using running = await start(mode, app());
    const recorder = request("/", { webSocket: true, requestId: "socket-1" });
    await recorder.until(() => recorder.head !== undefined);
    expect(recorder.head?.status).toBe(101);
    recorder.exchange.send("id");
    recorder.exchange.send("tëxt");
    recorder.exchange.send("");
    recorder.exchange.send(Uint8Array.of(1, 2, 3));
    recorder.exchange.send(new Uint8Array(100_000).fill(9));
    await recorder.until(() => recorder.messages.length === 5);
    expect(recorder.messages.slice(0, 3)).toEqual(["socket-1", "tëxt", ""]);
    expect([...(recorder.messages[3] as Uint8Array)]).toEqual([1, 2, 3]);
    expect(recorder.messages[4]).toHaveLength(100_000);
    recorder.exchange.end({ code: 4000, reason: "bye" });
    await recorder.over;
    expect([recorder.error, recorder.close]).toEqual([undefined, undefined]);
    expect((await running.handle.log.remote()).toSorted()).toEqual(["closed: 4000 bye", "left, aborted: false"]);
    await quiet();
  });

  it("H13: a close by the replica has its code and reason, and hears the client's answer", async () => {
    await using running = await start(mode, app());
    const recorder = await ask("/bye", { webSocket: true });
    expect(recorder.close).toEqual({ code: 4001, reason: "go away" });
    recorder.exchange.end({ code: 4001, reason: "" });
    await quiet();
    expect(await running.handle.log.remote()).toContain("answered: 4001");
  });

  it("H13: an error in the handler is one of the exchange; many messages wait for a slow reader", async () => {
    await using running = await start(mode, app());
    expect((await ask("/throws", { webSocket: true })).events).toEqual(["head", "error"]);
    const recorder = request("/flood", { webSocket: true });
    recorder.takes = false;
    await recorder.until(() => recorder.untaken >= 1_048_576);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await running.handle.stats.remote()).produced).toBeLessThan(20);
    recorder.takeAll();
    await recorder.over;
    expect(recorder.messages).toHaveLength(100);
    // The handler has returned: that closes.
    expect(recorder.close).toEqual({ code: 1000, reason: "" });
    await quiet();
  });

  it("H13: a WebSocket whose client breaks off is cancelled", async () => {
    await using running = await start(mode, app());
    const recorder = request("/", { webSocket: true });
    await recorder.until(() => recorder.head !== undefined);
    recorder.exchange.cancel();
    await until(async () => (await running.handle.log.remote()).includes("left, aborted: true"), "it goes on");
    await quiet();
    expect(await running.handle.log.remote()).toContain("closed: 1006 ");
  });

  it("H13: a class without a method for it answers with 501", async () => {
    await using _ = await start(mode, inner.bind());
    const { head, text } = await ask("/", { webSocket: true });
    expect(head).toMatchObject({ status: 501 });
    expect(text).toContain("Inner has no method websocket");
    expect((await ask("/")).error).toMatchObject({ code: "UNKNOWN_METHOD" });
  });

  it("H10: a session stays with its replica", async () => {
    await using _ = await start(mode, web.options({ numReplicas: 3 }).bind(inner.bind() as never));
    const pids = new Set<string>();
    for (let i = 0; i < 8; i++) pids.add((await ask("/slow?ms=0", { sessionId: "one" })).text);
    expect(pids.size).toBe(1);
  });
});

describe("operations H8 and H11, exchanges with processes", () => {
  it("100 MB stream through with flat memory on both sides", async () => {
    await using _ = await start("processes", app());
    const chunk = new Uint8Array(65_536);
    let peakHere = 0;
    // Garbage lies about until it is worth collecting: what counts is that the second time needs no more than the first.
    const warm = request("/size", { method: "POST", isStreamed: true });
    for (let i = 0; i < 1_600; i++) {
      await warm.write(chunk);
      peakHere = Math.max(peakHere, process.memoryUsage.rss());
    }
    warm.exchange.end();
    await warm.over;
    const before = { here: peakHere, there: (JSON.parse(warm.text) as { peakMb: number }).peakMb };
    const recorder = request("/size", { method: "POST", isStreamed: true });
    let peak = 0;
    for (let i = 0; i < 1_600; i++) {
      await recorder.write(chunk);
      peak = Math.max(peak, process.memoryUsage.rss());
    }
    recorder.exchange.end();
    await recorder.over;
    const { size, peakMb } = JSON.parse(recorder.text) as { size: number; peakMb: number };
    expect(size).toBe(1_600 * 65_536);
    expect((peak - before.here) / 1_048_576, "growth of the caller, MB").toBeLessThan(30);
    expect(peakMb - before.there, "growth of the replica, MB").toBeLessThan(30);
    await quiet();
  });

  it("a refused exchange goes to another replica, whole or in parts, without a loss", async () => {
    await using _ = await start(
      "processes",
      web.options({ numReplicas: 2, maxOngoingRequests: 2 }).bind(inner.bind() as never),
    );
    // Two callers that do not know of each other: each is refused where the other has taken the places.
    const other = await serve.run(app(), { name: "other", routePrefix: null, local: true });
    await other.stats.remote();
    const bodies = Array.from({ length: 60 }, (_value, i) => `body ${i} `.repeat(i % 3 === 0 ? 10_000 : 3));
    const recorders = bodies.map((body, i) => {
      const isStreamed = i % 2 === 0;
      const recorder = request("/text", { method: "POST", ...(isStreamed ? { isStreamed } : { body }) });
      if (isStreamed) {
        recorder.exchange.write(Buffer.from(body));
        recorder.exchange.end();
      }
      return recorder;
    });
    await Promise.all(recorders.map(({ over }) => over));
    expect(recorders.map(({ error }) => error)).toEqual(bodies.map(() => undefined));
    expect(recorders.map(({ text }) => text)).toEqual(bodies);
    await quiet();
  });

  it("a replica that is killed in the middle of a response fails it after what arrived", async () => {
    await using _ = await start("processes", app());
    const { events, text, error } = await ask("/die");
    expect([events, text]).toEqual([["head", "chunk", "error"], "last words"]);
    expect(error).toBeInstanceOf(ReplicaDiedError);
    await quiet();
  });

  it("H11: deleting the application lets what was accepted finish", async () => {
    await using _ = await start("processes", app());
    const response = request("/slow?ms=300");
    const socket = request("/", { webSocket: true });
    await socket.until(() => socket.head !== undefined);
    const deleted = serve.delete("default");
    await response.over;
    expect(response.error).toBeUndefined();
    socket.exchange.send("still there");
    await socket.until(() => socket.messages.length === 1);
    socket.exchange.end({ code: 1000, reason: "" });
    await deleted;
    expect(await failureOf(ask("/hello").then(({ error }) => Promise.reject(error as Error)))).toMatchObject({
      code: "DEPLOYMENT_UNAVAILABLE",
    });
  });

  it("H15: threads serve exchanges too", async () => {
    await using _ = await start("processes", web.options({ isolation: "thread" }).bind(inner.bind() as never));
    expect((await ask("/hello")).text).toBe("hello");
    const streamed = request("/echo", { method: "POST", isStreamed: true });
    for (let i = 0; i < 20; i++) await streamed.write(new Uint8Array(100_000).fill(i));
    streamed.exchange.end();
    await streamed.over;
    expect(streamed.bytes).toHaveLength(2_000_000);
  });
});
