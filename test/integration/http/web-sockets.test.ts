import { once } from "node:events";
import { serve, type DeploymentHandle } from "heliostat";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import { talker, type Talker } from "../../fixtures/talker.ts";
import { answersOf } from "../../support/raw-answers.ts";
import { RawClient } from "../../support/raw-client.ts";
import { quiet, until, watchLeftovers } from "../harness.ts";
import { ways } from "./ways.ts";

const PING_MS = 150;

const places = [
  ...ways.map((way) => ({ ...way, options: {} })),
  {
    ...ways[0]!,
    name: "in the driver, replicas in threads",
    mode: "processes" as const,
    options: { isolation: "thread" as const },
  },
];

describe.each(places)("operations H13, $name", ({ http, mode, options }) => {
  let end: () => Promise<void>;
  let handle: DeploymentHandle<Talker>;
  let url: string;
  let address: string;

  beforeAll(async () => {
    end = watchLeftovers();
    handle = (await serve.run(talker.options(options).bind(), {
      local: mode === "local",
      http: { ...http(), pingIntervalMs: PING_MS, requestTimeoutMs: 400 },
    })) as DeploymentHandle<Talker>;
    ({ url } = (await serve.status()).proxies[0]!);
    address = url.replace("http", "ws");
  });
  afterAll(() => end());

  const logged = async (...lines: string[]): Promise<void> => {
    const seen: string[] = [];
    await until(
      async () => {
        seen.push(...(await handle.log.remote()));
        return lines.every((line) => seen.includes(line));
      },
      `${lines.join(", ")} is noted`,
    );
  };
  const open = async (path: string, protocols: string[] = [], more: ClientOptions = {}): Promise<WebSocket> => {
    const socket = new WebSocket(address + path, protocols, more);
    await once(socket, "open");
    return socket;
  };
  const closeOf = async (socket: WebSocket): Promise<[code: number, reason: string]> => {
    const [code, reason] = (await once(socket, "close")) as [number, Buffer];
    return [code, reason.toString()];
  };

  it("a message is text or the bytes of a view, whatever the view", async () => {
    const socket = new WebSocket(`${address}/kinds`);
    const messages: unknown[] = [];
    socket.on("message", (data: Buffer, isBinary: boolean) => messages.push(isBinary ? [...data] : data.toString()));
    expect(await closeOf(socket)).toEqual([1000, ""]);
    expect(messages).toEqual(["text", [0, 1, 2, 3, 4, 5, 6, 7], [2, 3, 4, 5], [1, 2, 3], [...Buffer.from("buffer")]]);
  });

  it("a handler that only sends ends when its client has left, however it left", async () => {
    for (const leave of ["close", "terminate"] as const) {
      const socket = await open("/ticks");
      await once(socket, "message");
      socket[leave]();
      const code = leave === "close" ? 1005 : 1006;
      await logged(`closed ${code} `, `The WebSocket is closed (code ${code}): nothing can be sent any more.`);
    }
    await quiet();
    expect(await (await fetch(url)).text()).toBe("http");
  });

  it("a client that does not read holds the sender back, and its end ends the sender", async () => {
    const socket = await open("/flood");
    socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.terminate();
    await logged("flood over");
    await quiet();
  });

  it("closed tells what the client answered, or what was sent to it", async () => {
    expect(await closeOf(await open("/closes"))).toEqual([4001, "why"]);
    await logged("closed 4001 why", "answered 4001");
    expect(await closeOf(await open("/fails"))).toEqual([1011, ""]);
    await logged("closed 1011 ");
    const leaving = await open("/");
    leaving.close(4002, "bye");
    await logged("closed 4002 bye", "left");
  });

  it("a client that answers pings stays, one that does not is closed and gives back its slot", async () => {
    const there = await open("/");
    const gone = await open("/", [], { autoPong: false });
    const asked = once(there, "ping");
    expect(await closeOf(gone)).toEqual([1006, ""]);
    await asked;
    expect(there.readyState).toBe(WebSocket.OPEN);
    there.send("still there");
    expect(String((await once(there, "message"))[0])).toBe("still there");
    there.close();
    await logged("closed 1006 ", "closed 1005 ");
  });

  it("a message may come in as many pieces as its client likes", async () => {
    const socket = await open("/lengths");
    for (let i = 0; i < 40_000; i++) socket.send("x", { fin: false });
    socket.send("x", { fin: true });
    expect(String((await once(socket, "message"))[0])).toBe("40001");
    socket.close();
    await quiet();
  });

  it("the application refuses a handshake with an answer of its own", async () => {
    const answer = async (path: string) => {
      const fields = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nX-Request-ID: me\r\n";
      const client = await RawClient.exchange(
        url,
        `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${fields}\r\n`,
      );
      return answersOf(client.text)[0]!;
    };
    expect(await answer("/refused")).toMatchObject({
      status: 401,
      body: "not me",
      fields: { "www-authenticate": "Basic", connection: "close", "content-length": "6", "x-request-id": "me" },
    });
    expect(await answer("/refused-by-stream")).toMatchObject({ status: 503, body: "in a stream" });
    for (const path of ["/other", "/wrong", "/throws"]) expect((await answer(path)).status, path).toBe(500);
    expect(await answer("/slow?ms=600")).toMatchObject({ status: 408, fields: { "content-type": expect.any(String) } });
    await quiet();
  });

  it("the application chooses the subprotocol and adds header fields; without its word there is none", async () => {
    const socket = new WebSocket(`${address}/last`, ["one", "two"]);
    const opened = once(socket, "open");
    const [upgrade] = (await once(socket, "upgrade")) as [{ headers: Record<string, unknown> }];
    await opened;
    expect(socket.protocol).toBe("two");
    expect(upgrade.headers).toMatchObject({ "set-cookie": ["a=1"], upgrade: "websocket", date: expect.any(String) });
    socket.close();
    const plain = new WebSocket(`${address}/`, ["one", "two"]);
    // This client takes it for a mistake; a browser's has an empty protocol.
    expect(String((await once(plain, "error"))[0])).toContain("no subprotocol");
    await quiet();
  });

  it("a client that leaves while the application decides is noticed, and what it sent early is not lost", async () => {
    const leaving = new WebSocket(`${address}/slow?ms=200`);
    leaving.on("error", () => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    leaving.terminate();
    await quiet();
    const client = await RawClient.open(url);
    const fields = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    client.write(`GET /slow?ms=100 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${fields}\r\n`);
    // A message of two letters, masked with zeros, before the handshake is answered.
    client.write("\x81\x82\0\0\0\0hi");
    await client.until("\x81\x02hi");
    client.close();
    await quiet();
  });

  it("an update closes what its time is over for with 1012, and a deletion too", async () => {
    const app = talker.options({ ...options, version: "2" }).bind();
    const before = await open("/");
    const closing = closeOf(before);
    await serve.run(app, { local: mode === "local" });
    expect((await closing)[0]).toBe(1012);
    const deleted = closeOf(await open("/"));
    await serve.delete("default");
    expect((await deleted)[0]).toBe(1012);
  });
});
