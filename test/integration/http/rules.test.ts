import { once } from "node:events";
import { deployment, serve } from "heliostat";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { bare, inner, web, type Web } from "../../fixtures/web.ts";
import { RawClient } from "../../support/raw-client.ts";
import { childPids, failureOf, quiet, start, until, watchLeftovers } from "../harness.ts";
import { ways, waysWithTls } from "./ways.ts";
import type { DeploymentHandle } from "heliostat";

const bind = (options: Parameters<typeof web.options>[0] = {}) => web.options(options).bind(inner.bind() as never);
const urlOf = async (): Promise<string> => (await serve.status()).proxies[0]!.url;

describe.each(waysWithTls)("operations H, $name, one application at / and one at /shop", ({ http, mode }) => {
  let end: () => Promise<void>;
  let url: string;
  let handle: DeploymentHandle<Web>;

  beforeAll(async () => {
    end = watchLeftovers();
    handle = (await serve.run(bind({ maxOngoingRequests: 50 }), {
      http: { ...http(), maxBodyBytes: 2_000_000 },
    })) as DeploymentHandle<Web>;
    await serve.run(bind({ maxOngoingRequests: 50 }), { name: "shop", routePrefix: "/shop" });
    url = await urlOf();
  });
  afterAll(() => end());
  beforeEach(() => isQuiet());

  /** No request is waiting or running any more, wherever it has come in. */
  const isQuiet = async (): Promise<void> => {
    await quiet();
    await until(async () => (await handle.stats.remote()).ongoing === 0, "no request is running");
  };

  /** What the application has noted since the last time that somebody asked. */
  const noted = async (count: number): Promise<string[]> => {
    await until(async () => (await handle.log.remote()).length >= count, `${count} notes`);
    return handle.log.remote();
  };

  it("H1, H2: the address is told, and works when run has resolved", async () => {
    expect(url).toMatch(/^https?:\/\/127\.0\.0\.1:\d+$/);
    const { proxies } = await serve.status();
    const pids = proxies.map(({ pid }) => pid);
    if (mode === "local") expect(pids).toEqual([process.pid]);
    else expect(childPids(process.pid)).toEqual(expect.arrayContaining(pids));
    expect(new Set(pids).size).toBe(http().workers ?? 1);
    expect(proxies).toEqual(pids.map((pid) => ({ nodeId: "local", url, pid, status: "HEALTHY" })));
    expect(await (await fetch(`${url}/hello`)).text()).toBe("hello");
  });

  it("H3, H4: the class sees the path behind its prefix, method, query, headers and its route", async () => {
    const of = async (path: string, init?: RequestInit) => (await (await fetch(url + path, init)).json()) as never;
    const { origin } = new URL(url);
    expect(await of("/shop/json?a=%20%2F&b", { method: "PATCH", headers: { "X-Mine": "1" } })).toMatchObject({
      method: "PATCH",
      url: `${origin}/json?a=%20%2F&b`,
      headers: expect.arrayContaining([["x-mine", "1"]]),
    });
    expect(await of("/json")).toMatchObject({ url: `${origin}/json` });
    expect(await of("/shop/nested")).toMatchObject({ route: "/shop" });
    expect(await of("/nested")).toMatchObject({ route: "/" });
    expect((await fetch(`${url}/shopping/hello`)).status).toBe(404);
    expect(await (await fetch(`${url}/shopping/hello`)).text()).toBe("no such page");
  });

  it("H5: status, several Set-Cookie, empty answers and HEAD", async () => {
    const cookies = await fetch(`${url}/cookies`);
    expect([cookies.status, cookies.statusText, cookies.headers.getSetCookie(), await cookies.text()]).toEqual([
      201,
      "Made",
      ["a=1", "b=2"],
      "cookies",
    ]);
    const head = await fetch(`${url}/cookies`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([201, ""]);
    expect((await fetch(`${url}/empty`)).status).toBe(204);
    expect((await fetch(`${url}/not-modified`)).status).toBe(304);
  });

  it("H5: generators, streams of handles and events stream, each chunk at once", async () => {
    const get = async (path: string) => (await fetch(url + path, { headers: { "x-request-id": "me" } })).text();
    expect(await get("/generator?n=3")).toBe("me:0;me:1;me:2;");
    expect(await get("/handle")).toBe("abc");
    expect(await get("/sse")).toBe("data: a\n\ndata: b\n\ndata: c\n\n");
    const drip = await RawClient.open(url);
    drip.write("GET /drip HTTP/1.1\r\nHost: a\r\n\r\n");
    await drip.until("\r\n2\n\r\n");
    expect(drip.text).toContain("\r\n2\r\n0\n\r\n2\r\n1\n\r\n");
    drip.close();
    expect(await noted(1)).toContain("drip: returned, aborted: true");
  });

  it("H5: an error behind the first byte is never a clean end, with chunks and without", async () => {
    const broken = await fetch(`${url}/breaks`);
    expect(broken.status).toBe(200);
    await expect(broken.text()).rejects.toThrow();
    const old = await RawClient.exchange(url, "GET /breaks HTTP/1.0\r\n\r\n");
    expect(old.text).toMatch(/\r\n\r\nbefore$/);
    expect([old.isEnded, old.isReset]).toEqual([false, true]);
  });

  it("H5: a client that reads slowly stops the producer", async () => {
    const client = await RawClient.open(url);
    client.socket.pause();
    client.write("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
    let last = -1;
    await until(async () => {
      const { produced } = await handle.stats.remote();
      const isSame = produced > 0 && produced === last;
      last = produced;
      if (!isSame) await new Promise((resolve) => setTimeout(resolve, 100));
      return isSame;
    }, "the producer stands still");
    // What the sockets and the windows hold: far from everything.
    expect(last).toBeLessThan(400);
    client.close();
    await until(async () => (await handle.log.remote()).includes("flood: returned"), "the generator is open");
  });

  it("H6: a request id is taken over or made, and in every answer", async () => {
    const id = async (path: string, given?: string) =>
      (await fetch(url + path, given === undefined ? {} : { headers: { "x-request-id": given } })).headers.get(
        "x-request-id",
      );
    expect(await id("/hello", "mine")).toBe("mine");
    for (const path of ["/hello", "/throws", "/-/healthz", "/generator"])
      expect(await id(path)).toMatch(/^[\da-f-]{36}$/);
    const seen = (await (await fetch(`${url}/json`, { headers: { "x-request-id": "seen" } })).json()) as {
      headers: [string, string][];
    };
    expect(seen.headers).toContainEqual(["x-request-id", "seen"]);
  });

  it("H7: errors of the application tell nothing of themselves", async () => {
    for (const path of ["/throws", "/nothing"]) {
      const answer = await fetch(url + path, { headers: { "x-request-id": "r1" } });
      expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([
        500,
        "text/plain; charset=utf-8",
        "Internal Server Error. Request r1 failed.",
      ]);
    }
  });

  it("H7: a body or a header that is too large", async () => {
    const large = await fetch(`${url}/size`, { method: "POST", body: new Uint8Array(2_000_001) });
    expect([large.status, large.headers.get("x-request-id")]).toEqual([413, expect.any(String)]);
    async function* chunks() {
      for (let i = 0; i < 50; i++) yield new Uint8Array(65_536);
    }
    const streamed = await fetch(`${url}/size`, { method: "POST", body: chunks() as never, duplex: "half" } as never);
    expect(streamed.status).toBe(413);
    const heavy = await RawClient.exchange(url, `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${"a".repeat(20_000)}\r\n\r\n`);
    expect(heavy.text).toMatch(/^HTTP\/1\.1 431 [\s\S]*X-Request-ID: /);
  });

  it("H4: bodies of all sizes arrive as they were, small ones and streams", async () => {
    const body = Buffer.from(Array.from({ length: 1_000_000 }, (_value, i) => (i * 7) & 0xff));
    for (const size of [0, 1, 1_000, 70_000, 1_000_000]) {
      const part = body.subarray(0, size);
      const echoed = await fetch(`${url}/echo`, { method: "POST", body: part });
      expect(Buffer.compare(Buffer.from(await echoed.arrayBuffer()), part)).toBe(0);
    }
    const client = await RawClient.open(url);
    client.write("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    // It flows while the client sends.
    await client.until("abc");
    client.write("3\r\ndef\r\n");
    await client.until("def");
    client.write("0\r\n\r\n");
    await client.until("\r\n0\r\n\r\n");
    client.close();
  });

  it("H4: Expect: 100-continue is answered, but not for what is too large", async () => {
    const client = await RawClient.open(url);
    client.write("POST /text HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    await client.until("100 Continue");
    client.write("hi");
    await client.until("hi");
    client.write("POST /text HTTP/1.1\r\nHost: a\r\nContent-Length: 2000001\r\nExpect: 100-continue\r\n\r\n");
    await client.until("413");
    expect(client.text.match(/100 Continue/g)).toHaveLength(1);
    client.close();
  });

  it("H8: a client that goes away cancels its request and the calls made for it", async () => {
    const before = (await handle.log.remote()).length;
    const client = await RawClient.open(url);
    client.write("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(await noted(before + 1)).toContain("started");
    client.close();
    expect((await noted(before + 3)).slice(before).toSorted()).toEqual([
      "inner: RequestCancelledError",
      "request: AbortError",
      "started",
    ]);
  });

  it("H8: with x-request-disconnect-disabled it goes on", async () => {
    const client = await RawClient.open(url);
    client.write("GET /slow?ms=150 HTTP/1.1\r\nHost: a\r\nx-request-disconnect-disabled: ?1\r\n\r\n");
    await until(async () => (await handle.stats.remote()).ongoing === 1, "it is running");
    client.close();
    // It still holds its place, and gives it back at its own end.
    await isQuiet();
  });

  it("H8: x-request-timeout-seconds bounds one request", async () => {
    const late = await fetch(`${url}/hang`, {
      headers: { "x-request-timeout-seconds": "0.15", "x-request-id": "late" },
    });
    expect([late.status, await late.text()]).toEqual([408, "Request late timed out after 0.15s."]);
    const drip = await fetch(`${url}/drip`, { headers: { "x-request-timeout-seconds": "0.15" } });
    expect(drip.status).toBe(200);
    await expect(drip.text()).rejects.toThrow();
    expect((await fetch(`${url}/hello`, { headers: { "x-request-timeout-seconds": "soon" } })).status).toBe(200);
  });

  it("H9: own routes come first", async () => {
    const health = await fetch(`${url}/-/healthz`);
    expect([health.status, await health.text()]).toEqual([200, "success"]);
    const routes = await fetch(`${url}/-/routes`);
    expect(routes.headers.get("content-type")).toBe("application/json");
    expect(await routes.json()).toEqual({ "/": "default", "/shop": "shop" });
  });

  it("H16: traceparent is carried to every hop, if it is one", async () => {
    const nested = async (traceparent: string) =>
      ((await (await fetch(`${url}/nested`, { headers: { traceparent } })).json()) as { traceparent: string })
        .traceparent;
    const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    expect(await nested(trace)).toBe(trace);
    expect(await nested("nonsense")).toBe("");
  });

  it("H13: WebSockets", async () => {
    const socket = new WebSocket(url.replace("http", "ws"), { headers: { "x-request-id": "ws-1" } });
    const opened = once(socket, "open");
    const [upgrade] = (await once(socket, "upgrade")) as [{ headers: Record<string, string> }];
    expect(upgrade.headers["x-request-id"]).toBe("ws-1");
    await opened;
    const ask = async (message: string | Uint8Array) => {
      socket.send(message);
      const [data, isBinary] = (await once(socket, "message")) as [Buffer, boolean];
      return isBinary ? [...data] : data.toString();
    };
    expect(await ask("id")).toBe("ws-1");
    expect(await ask("tëxt")).toBe("tëxt");
    expect(await ask("")).toBe("");
    expect(await ask(Uint8Array.of(1, 2))).toEqual([1, 2]);
    const before = (await handle.log.remote()).length;
    socket.close(4000, "bye");
    expect((await noted(before + 2)).slice(before).toSorted()).toEqual(["closed: 4000 bye", "left, aborted: false"]);
    const codes = [];
    for (const path of ["/bye", "/throws"]) {
      const other = new WebSocket(url.replace("http", "ws") + path);
      const [code] = (await once(other, "close")) as [number];
      codes.push(code);
    }
    expect(codes).toEqual([4001, 1011]);
    const flood = new WebSocket(`${url.replace("http", "ws")}/flood`);
    let bytes = 0;
    flood.on("message", (data: Buffer) => (bytes += data.length));
    const [code] = (await once(flood, "close")) as [number];
    expect([code, bytes]).toEqual([1000, 6_553_600]);
  });
});

describe.each(ways)("operations H, $name, how it begins and ends", (way) => {
  const { mode } = way;
  const local = mode === "local";
  const port0 = { http: way.http() };

  it("H1: what has no fetch, or no prefix, opens no port", async () => {
    await using _ = await start("processes", bind(), { routePrefix: null, ...port0 });
    await serve.run(deployment(function plain() {}).bind(), { name: "plain", local: true });
    expect((await serve.status()).proxies).toEqual([]);
  });

  it("H2: a port that is taken is an error of run, and the application does not stay", async () => {
    const { createServer } = await import("node:net");
    const blocker = createServer().listen(0, "127.0.0.1");
    await once(blocker, "listening");
    const { port } = blocker.address() as { port: number };
    const end = watchLeftovers();
    expect(await failureOf(serve.run(bind(), { local, http: { ...way.http(), port } }))).toMatchObject({
      code: "CONFIG",
      path: "http.port",
    });
    expect((await serve.status()).applications).toEqual({});
    await end();
    blocker.close();
  });

  it("H3: a prefix that is taken is refused and changes nothing; another one moves the application", async () => {
    await using _ = await start(mode, bind(), port0);
    const url = await urlOf();
    const refused = await failureOf(serve.run(bind(), { name: "second", local }));
    expect(refused).toMatchObject({ code: "CONFIG", path: "routePrefix" });
    expect(refused.message).toMatch(/"\/".*"default"/);
    expect(Object.keys((await serve.status()).applications)).toEqual(["default"]);
    await serve.run(bind(), { local, routePrefix: "/moved" });
    const gone = await fetch(`${url}/hello`);
    expect([gone.status, await gone.text()]).toEqual([404, expect.stringContaining("/-/routes")]);
    expect(await (await fetch(`${url}/moved/hello`)).text()).toBe("hello");
    await serve.run(bind(), { name: "second", local });
    await serve.delete("second");
    await serve.delete("default");
    expect(await (await fetch(`${url}/-/healthz`)).text()).toBe("Route table is not populated yet.");
  });

  it("H7: back-pressure of the deployment that refuses, however deep", async () => {
    const limits = {
      maxOngoingRequests: 1,
      maxQueuedRequests: 1,
      backpressure: { statusCode: 429, retryAfterMs: 1_500 },
    };
    await using _ = await start(
      mode,
      web.options({ maxOngoingRequests: 9 }).bind(inner.options(limits as never).bind() as never),
      port0,
    );
    const url = await urlOf();
    const leave = new AbortController();
    const hanging: Promise<number>[] = [];
    const ask = (path: string, signal: AbortSignal): Promise<number> =>
      fetch(url + path, { signal }).then(
        ({ status }) => status,
        () => 0,
      );
    await until(
      async () => {
        hanging.push(ask("/hang", leave.signal));
        // It may get the place in the line before one that hangs, which has come by another process: then it goes again.
        return (await ask("/nested", AbortSignal.timeout(500))) === 429;
      },
      "both places are taken",
      15_000,
    );
    const refused = await fetch(`${url}/nested`);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "2"]);
    expect(await refused.text()).toMatch(/^Request dropped due to backpressure/);
    leave.abort();
    await Promise.all(hanging);
  });

  it("H8: http.requestTimeoutMs bounds every request", async () => {
    await using _ = await start(mode, bind(), { http: { ...way.http(), requestTimeoutMs: 100 } });
    const url = await urlOf();
    expect((await fetch(`${url}/hang`)).status).toBe(408);
    expect((await fetch(`${url}/slow?ms=150`, { headers: { "x-request-timeout-seconds": "0" } })).status).toBe(200);
  });

  it("H10: a session stays with its replica over HTTP", async () => {
    await using _ = await start("processes", bind({ numReplicas: 3 }), port0);
    const url = await urlOf();
    const pids = new Set<string>();
    for (let i = 0; i < 6; i++)
      pids.add(await (await fetch(`${url}/slow?ms=0`, { headers: { "X-Session_ID": "one" } })).text());
    expect(pids.size).toBe(1);
  });

  it("H11: an update and a shutdown under load answer every request", async () => {
    const end = watchLeftovers();
    await serve.run(bind({ numReplicas: 2, maxOngoingRequests: 20, version: "1" }), port0);
    const url = await urlOf();
    let isOver = false;
    const statuses = new Map<number, number>();
    const clients = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        const { status } = await fetch(`${url}/slow?ms=2`).then(async (answer) => (await answer.text(), answer));
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    });
    await serve.run(bind({ numReplicas: 2, maxOngoingRequests: 20, version: "2" }));
    isOver = true;
    await Promise.all(clients);
    expect([...statuses.keys()]).toEqual([200]);
    const stream = await fetch(`${url}/generator?n=50`);
    const slow = fetch(`${url}/slow?ms=300`).then((answer) => answer.status);
    const socket = new WebSocket(url.replace("http", "ws"));
    await once(socket, "open");
    await new Promise((resolve) => setTimeout(resolve, 30));
    const closed = once(socket, "close");
    await Promise.all([end(), slow.then((status) => expect(status).toBe(200))]);
    expect((await stream.text()).match(/;/g)).toHaveLength(50);
    expect((await closed)[0]).toBe(1001);
  });

  it("H13: a class without websocket answers with 501; H14: TLS", async () => {
    await using _ = await start(mode, bare.bind(), port0);
    const url = await urlOf();
    const socket = new WebSocket(url.replace("http", "ws"));
    const failure = (await once(socket, "error").catch((error: Error) => [error])) as [Error];
    expect(failure[0].message).toContain("501");
    const wrong = { key: "no", cert: "no" };
    await serve.shutdown();
    expect(await failureOf(serve.run(bare.bind(), { local, http: { ...way.http(), tls: wrong } }))).toMatchObject({
      code: "CONFIG",
      path: "http.tls",
    });
  });
});
