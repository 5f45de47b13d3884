import { serve, type DeploymentHandle } from "heliostat";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inner, web, type Web } from "../../fixtures/web.ts";
import { RawClient } from "../../support/raw-client.ts";
import { serverConnections } from "../../support/server-connections.ts";
import { answersOf } from "../../support/raw-answers.ts";
import { quiet, until, watchLeftovers } from "../harness.ts";
import { waysWithTls } from "./ways.ts";

const UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const SOCKET = `${UPGRADE}Sec-WebSocket-Version: 13\r\n`;

describe.each(waysWithTls)("HTTP as it is written, $name", ({ http }) => {
  let end: () => Promise<void>;
  let handle: DeploymentHandle<Web>;
  let url: string;

  beforeAll(async () => {
    end = watchLeftovers();
    handle = (await serve.run(web.bind(inner.bind() as never), {
      routePrefix: "/app",
      http: { ...http(), workers: 1, maxBodyBytes: 10_000, receiveTimeoutMs: 400, requestTimeoutMs: 5_000 },
    })) as DeploymentHandle<Web>;
    ({ url } = (await serve.status()).proxies[0]!);
  });
  afterAll(async () => {
    // What is refused does not keep it waiting.
    const startedMs = performance.now();
    await end();
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });

  const isQuiet = async (): Promise<void> => {
    await quiet();
    await until(async () => (await handle.stats.remote()).ongoing === 0, "no request is running");
  };
  const ask = async (text: string) => answersOf((await RawClient.exchange(url, text)).text);
  const request = (line: string, fields = "Host: a\r\n", body = ""): string => `${line}\r\n${fields}\r\n${body}`;
  const get = (path: string, fields = ""): string => request(`GET ${path} HTTP/1.1`, `Host: a\r\n${fields}`);
  const last = "Connection: close\r\n";

  it.each<[string, string, number]>([
    ["no HTTP", "hello\r\n\r\n", 400],
    ["no Host", request("GET /app/hello HTTP/1.1", ""), 400],
    ["two Hosts", request("GET /app/hello HTTP/1.1", "Host: a\r\nHost: a\r\n"), 400],
    ["two Hosts for a WebSocket", request("GET /app HTTP/1.1", `Host: a\r\nHost: b\r\n${SOCKET}`), 400],
    ["no Host for a WebSocket", request("GET /app HTTP/1.1", SOCKET), 400],
    ["another scheme", get("ftp://a/"), 400],
    ["no path", get("app/hello"), 400],
    ["an asterisk for GET", get("*"), 400],
    ["a Host with a path", request("GET /app/hello HTTP/1.1", "Host: a/b\r\n"), 400],
    ["a header that is too large", get("/", `X: ${"x".repeat(20_000)}\r\n`), 431],
    ["a path that nobody has", get("/none", last), 404],
    ["a body that is too large", request("POST /app/text HTTP/1.1", "Host: a\r\nContent-Length: 10001\r\n"), 413],
    ["an expectation", get("/app/hello", `Expect: the-moon\r\n${last}`), 417],
    ["TRACE", request("TRACE /app HTTP/1.1", `Host: a\r\n${last}`), 405],
    ["CONNECT", request("CONNECT a:1 HTTP/1.1"), 405],
    ["POST to an own route", request("POST /-/healthz HTTP/1.1", `Host: a\r\n${last}`), 405],
    ["an upgrade by POST", request("POST /app HTTP/1.1", `Host: a\r\n${SOCKET}`), 405],
    ["an upgrade without a key", get("/app", "Connection: Upgrade\r\nUpgrade: websocket\r\n"), 400],
    ["an upgrade of version 7", get("/app", `${UPGRADE}Sec-WebSocket-Version: 7\r\n`), 426],
    ["an upgrade with empty protocols", get("/app", `${SOCKET}Sec-WebSocket-Protocol: a,,b\r\n`), 400],
    ["an upgrade where nobody is", get("/none", SOCKET), 404],
    ["silence in the head", "GET /app HTTP/1.1\r\nHost: a\r\nX", 408],
    ["silence in the body", request("POST /app/text HTTP/1.1", "Host: a\r\nContent-Length: 5\r\n", "ab"), 408],
    ["an error of the application", get("/app/throws", last), 500],
    ["no Response", get("/app/nothing", last), 500],
  ])("%s is answered as everything is: with a date, an id and plain text", async (_what, text, status) => {
    const answers = await ask(text);
    expect(answers.map((each) => each.status)).toEqual([status]);
    const { fields, body } = answers[0]!;
    expect(fields["date"]).toMatch(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
    expect(fields["x-request-id"]).toMatch(/^[\da-f-]{36}$/);
    expect(fields["content-type"]).toMatch(/^text\/plain/);
    expect(fields["content-length"]).toBe(String(body.length));
    expect(body.length).toBeGreaterThan(0);
    if (status === 405) expect(fields["allow"]).toMatch(/^GET/);
    await isQuiet();
  });

  it.each<[string, string]>([
    ["bytes that are no HTTP", "no HTTP at all\r\n\r\n"],
    ["CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a WebSocket that is refused", get("/none", SOCKET)],
    ["a request that is not valid", "GET / HTTP/1.1\r\n\r\n"],
  ])("%s behind a request in flight does not take its answer", async (_what, behind) => {
    const answers = await ask(get("/app/slow?ms=120") + behind);
    expect(answers.map(({ status }) => status)).toEqual([200, expect.any(Number)]);
    expect(answers[0]!.body).toContain("pid");
    expect(answers[1]!.status).toBeGreaterThanOrEqual(400);
    await isQuiet();
  });

  it("what is wrong with a body ends the request that it belongs to, behind those before it", async () => {
    const broken = request("POST /app/text HTTP/1.1", "Host: a\r\nTransfer-Encoding: chunked\r\n", "zz\r\n");
    const answers = await ask(get("/app/slow?ms=120") + broken);
    expect(answers.map(({ status }) => status)).toEqual([200, 400]);
    await isQuiet();
  });

  it("a target may be a URL, for every route", async () => {
    const asked = `${get("http://b/app/json")}${get("http://b/-/healthz")}${get("http://b?x", last)}`;
    const [json, health, none] = await ask(asked);
    const { host } = new URL(url);
    expect(JSON.parse(json!.body)).toMatchObject({ url: expect.stringMatching(/^https?:\/\/b\/json$/) });
    expect(host).not.toBe("b");
    expect([health!.body, none!.status]).toEqual(["success", 404]);
    const [upgraded] = await ask(get("/-/healthz", SOCKET));
    expect([upgraded!.status, upgraded!.body, upgraded!.fields["connection"]]).toEqual([200, "success", "close"]);
  });

  it("OPTIONS * is about the server", async () => {
    const [answer] = await ask(request("OPTIONS * HTTP/1.1", `Host: a\r\n${last}`));
    expect([answer!.status, answer!.fields["allow"], answer!.body]).toEqual([
      200,
      expect.stringMatching(/GET.*POST/),
      "",
    ]);
  });

  it("HTTP/1.0: no 100, no WebSocket, and no chunks that another server would read otherwise", async () => {
    const body = request("POST /app/text HTTP/1.0", "Content-Length: 2\r\nExpect: 100-continue\r\n", "hi");
    expect((await ask(body)).map(({ status, body: text }) => [status, text])).toEqual([[200, "hi"]]);
    const [socket] = await ask(request("GET /app/hello HTTP/1.0", SOCKET.replace("Upgrade\r\n", "Upgrade, close\r\n")));
    expect(socket!.status).not.toBe(101);
    const chunked = "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n";
    const [first, ...more] = await ask(
      request("POST /app/text HTTP/1.0", chunked, "2\r\nhi\r\n0\r\n\r\n") + get("/app/hello"),
    );
    expect([first!.body, first!.fields["connection"], more]).toEqual(["hi", "close", []]);
    await isQuiet();
  });

  it("a client may send as slowly as it likes, as long as it sends", async () => {
    const client = await RawClient.open(url);
    client.write(request("POST /app/text HTTP/1.1", "Host: a\r\nContent-Length: 5\r\nConnection: close\r\n"));
    for (const letter of "slow!") {
      await new Promise((resolve) => setTimeout(resolve, 150));
      client.write(letter);
    }
    await client.closed();
    expect(answersOf(client.text)[0]).toMatchObject({ status: 200, body: "slow!" });
    await isQuiet();
  });

  it("a client that reads slowly gets all of its answer, also one that is broken off", async () => {
    const client = await RawClient.open(url);
    client.socket.pause();
    client.write(get("/app/large-then-breaks"));
    await new Promise((resolve) => setTimeout(resolve, 300));
    client.socket.resume();
    await client.closed();
    expect(client.text.match(/x/g)!.length).toBeGreaterThanOrEqual(300_000);
    expect(client.text).not.toContain("\r\n0\r\n\r\n");
    await isQuiet();
  });

  it.each<[string, string]>([
    ["no HTTP", "hello\r\n\r\n"],
    ["too large a header", get("/", `X: ${"x".repeat(20_000)}\r\n`)],
    ["CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a refused WebSocket", get("/app", `${UPGRADE}Sec-WebSocket-Version: 7\r\n`)],
    ["a WebSocket where nobody is", get("/none", SOCKET)],
    ["a WebSocket of an own route", get("/-/healthz", SOCKET)],
    ["a chunk that is none", request("POST /app/text HTTP/1.1", "Host: a\r\nTransfer-Encoding: chunked\r\n", "zz\r\n")],
    ["a body for nobody", request("POST /none HTTP/1.1", "Host: a\r\nContent-Length: 500000\r\n")],
    ["an accepted WebSocket", get("/app", SOCKET)],
    ["a request in flight", get("/app/slow?ms=300")],
  ])("%s with much behind it, reset or left open, leaves no descriptor", async (_what, text) => {
    await isQuiet();
    const clients: RawClient[] = [];
    for (let i = 0; i < 30; i++) {
      const client = await RawClient.open(url);
      clients.push(client);
      client.write(text);
      if (i % 3 === 1) await new Promise(setImmediate);
      if (i % 3 !== 0) client.write("x".repeat(100_000));
      if (i % 2 === 0) await client.until("\r\n").catch(() => {});
      if (i % 4 === 3) client.reset();
      else client.close();
    }
    await until(() => serverConnections(url) === 0, "all connections are closed", 10_000);
    expect((await ask(get("/app/hello", last)))[0]!.body).toBe("hello");
    await isQuiet();
  });
});
