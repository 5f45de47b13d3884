import { once } from "node:events";
import { serve, type DeploymentHandle } from "heliostat";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { openInstances } from "../../../src/app/serve.ts";
import { resolveHttpOptions } from "../../../src/core/deployment/run-options.ts";
import { systemClock } from "../../../src/engine/system-clock.ts";
import type { HttpProxy } from "../../../src/app/proxies/http-proxy.ts";
import { OwnProxy } from "../../../src/app/proxies/own-proxy.ts";
import { inner, web, type Web } from "../../fixtures/web.ts";
import { RawClient } from "../../support/raw-client.ts";
import { quiet, until, watchLeftovers } from "../harness.ts";
import { ways } from "./ways.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

describe.each(ways)("$name", ({ http, mode }) => {
  let end: () => Promise<void>;
  let proxy: HttpProxy;
  let handle: DeploymentHandle<Web>;
  let url: string;

  /** A proxy of the test's own in front of the instance: it loses patience sooner than that of `serve.run`. */
  beforeAll(async () => {
    end = watchLeftovers();
    const app = web.bind(inner.bind() as never);
    handle = (await serve.run(app, { local: mode === "local", http: http() })) as DeploymentHandle<Web>;
    const [instance] = openInstances();
    const options = resolveHttpOptions({ ...http(), maxBodyBytes: 100_000, receiveTimeoutMs: 200 }, "http");
    const { openExchange } = instance!;
    proxy =
      mode === "local"
        ? await OwnProxy.open({ http: options, openExchange, clock: systemClock, log: silent })
        : await instance!.openProxies!(options);
    await proxy.setRoutes([{ app: "default", prefix: "/", backpressure: {} }]);
    url = proxy.url;
  });

  afterAll(async () => {
    await proxy.close();
    await end();
  });

  /** No request is waiting or running any more, wherever it has come in. */
  const isQuiet = async (): Promise<void> => {
    await quiet();
    await until(async () => (await handle.stats.remote()).ongoing === 0, "no request is running");
  };

  const statusOf = async (text: string): Promise<string> => (await RawClient.exchange(url, text)).text.slice(9, 12);
  const head = (fields: string, method = "POST"): string => `${method} /echo HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n`;

  it.each([
    ["no HTTP at all", "hello\r\n\r\n"],
    ["a method that is none", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a version that is none", "GET / HTTP/9\r\nHost: a\r\n\r\n"],
    ["no Host", "GET / HTTP/1.1\r\n\r\n"],
    ["a Host that would change the URL", "GET / HTTP/1.1\r\nHost: a/b?c\r\nConnection: close\r\n\r\n"],
    ["a header without a colon", head("broken")],
    ["a space before the colon", head("X-A : 1")],
    ["a control character in a value", head("X-A: a\x01b")],
    ["two lengths", head("Content-Length: 1\r\nContent-Length: 2") + "ab"],
    ["a length that is no number", head("Content-Length: -1") + "a"],
    ["a length and chunks", head("Content-Length: 4\r\nTransfer-Encoding: chunked") + "0\r\n\r\n"],
    ["chunks that are not last", head("Transfer-Encoding: chunked, gzip") + "0\r\n\r\n"],
    ["a folded header", head("X-A: 1\r\n  2")],
    ["bare line feeds", "GET / HTTP/1.1\nHost: a\n\n"],
    ["a chunk size that is none", head("Transfer-Encoding: chunked") + "zz\r\nab\r\n"],
    ["a chunk that is longer than it says", head("Transfer-Encoding: chunked") + "1\r\nabcdef\r\n0\r\n\r\n"],
  ])("%s is a bad request, and the connection ends", async (_name, text) => {
    expect(await statusOf(text)).toBe("400");
    await isQuiet();
  });

  it("what the two sides of a smuggled request would disagree on never becomes a second request", async () => {
    const hidden = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    const client = await RawClient.exchange(
      url,
      `${head(`Content-Length: ${hidden.length}\r\nTransfer-Encoding: chunked`)}0\r\n\r\n${hidden}`,
    );
    expect(client.text.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(client.text).not.toContain("hello");
  });

  it("slow heads and slow bodies are given up", async () => {
    const slowHead = await RawClient.open(url);
    slowHead.write("GET / HTTP/1.1\r\nHost: a\r\nX-");
    await slowHead.closed();
    expect(slowHead.text).toMatch(/^HTTP\/1\.1 408 [\s\S]*did not arrive in time/);
    const slowBody = await RawClient.open(url);
    slowBody.write(`POST /text HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc`);
    await slowBody.closed();
    expect(slowBody.text).toMatch(/^HTTP\/1\.1 408 /);
    await isQuiet();
  });

  it("too large a body, told or not, is 413, which the client can read while it still sends", async () => {
    const told = await RawClient.open(url);
    told.write(head("Content-Length: 5000000"));
    told.write("a".repeat(5_000_000));
    await told.closed();
    expect(told.text).toMatch(/^HTTP\/1\.1 413 /);
    const chunk = `10000\r\n${"b".repeat(65_536)}\r\n`;
    expect(
      await statusOf(`POST /text HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(4)}`),
    ).toBe("413");
    await isQuiet();
  });

  it("methods that a Request cannot have are 405, other upgrades are passed over or refused", async () => {
    expect(await statusOf("TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).toBe("405");
    expect(await statusOf("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")).toBe("405");
    expect(
      await statusOf(
        "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n".replace(
          "upgrade\r\n",
          "upgrade, close\r\n",
        ),
      ),
    ).toMatch(/200|501/);
  });

  it("WebSockets: what is wrong with the handshake or too large has its code", async () => {
    const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    expect(await statusOf(`${upgrade}\r\n`)).toBe("400");
    expect(
      await statusOf(`${upgrade}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 7\r\n\r\n`),
    ).toBe("426");
    const socket = new WebSocket(url.replace("http", "ws"));
    await once(socket, "open");
    socket.send(new Uint8Array(100_001));
    const [code] = (await once(socket, "close")) as [number];
    expect(code).toBe(1009);
    await isQuiet();
  });

  it("nothing of all that has hurt: the next request is answered", async () => {
    const client = await RawClient.open(url);
    client.write("GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    await client.closed();
    expect(client.text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  });
});
