import { once } from "node:events";
import { serve, type DeploymentHandle } from "heliostat";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { troublesome, type Troublesome } from "../../fixtures/troublesome.ts";
import { RawClient } from "../../support/raw-client.ts";
import { quiet, until, watchLeftovers } from "../harness.ts";

const places = [
  { name: "process", options: {}, local: false },
  { name: "thread", options: { isolation: "thread" as const }, local: false },
  { name: "local", options: {}, local: true },
];

describe.each(places)("one exchange never ends its neighbours, $name", ({ options, local }) => {
  let end: () => Promise<void>;
  let handle: DeploymentHandle<Troublesome>;
  let url: string;
  let replicaId: string;

  const idOfReplica = async (): Promise<string> =>
    Object.values((await serve.status()).applications["default"]!.deployments)[0]!.replicas[0]!.replicaId;

  beforeAll(async () => {
    end = watchLeftovers();
    handle = await serve.run(troublesome.options(options).bind(), { local, http: { port: 0 } });
    url = (await serve.status()).proxies[0]!.url;
    replicaId = await idOfReplica();
  });
  afterAll(() => end());

  const webSocket = (path: string): WebSocket => new WebSocket(`${url.replace("http", "ws")}${path}`);
  const get = (path: string): Promise<string> =>
    fetch(url + path).then(
      async (answer) => `${answer.status} ${await answer.text()}`,
      (error: Error) => error.message,
    );

  /** Requests, a stream, a WebSocket and calls that wait at the replica while something else goes wrong there. */
  async function withNeighbours(trouble: () => Promise<unknown>): Promise<void> {
    const socket = webSocket("/wait");
    await once(socket, "open");
    const message = once(socket, "message");
    const stream = await fetch(`${url}/stream`);
    const items = handle.options({ stream: true }).count.remote();
    await items.next();
    const waiting = [get("/wait"), get("/wait"), handle.wait.remote(), stream.text(), items.next()];
    await trouble();
    await handle.release.remote();
    expect(await Promise.all(waiting)).toEqual([
      "200 unharmed",
      "200 unharmed",
      "unharmed",
      "unharmed",
      { done: false, value: 2 },
    ]);
    expect(String((await message)[0])).toBe("unharmed");
    socket.terminate();
    await items.return!();
    await quiet();
    expect(await idOfReplica()).toBe(replicaId);
  }

  it.each([
    [2999, "x"],
    [1005, ""],
    [1006, ""],
    [1016, ""],
    [999, ""],
    [5000, ""],
    [1000.5, ""],
    ["1000", ""],
    [1000, "x".repeat(124)],
    [4000, "é".repeat(62)],
  ])("a close with %j and %j is an error of that WebSocket", async (code, reason) => {
    await withNeighbours(async () => {
      const socket = webSocket(`/close?with=${encodeURIComponent(JSON.stringify([code, reason]))}`);
      expect((await once(socket, "close"))[0]).toBe(1011);
    });
  });

  it.each([
    [1000, "done"],
    [1003, ""],
    [1012, "later"],
    [3000, "x".repeat(123)],
    [4999, "é".repeat(61)],
  ])("a close with %j and %j arrives", async (code, reason) => {
    const socket = webSocket(`/close?with=${encodeURIComponent(JSON.stringify([code, reason]))}`);
    const [got, bytes] = (await once(socket, "close")) as [number, Buffer];
    expect([got, bytes.toString()]).toEqual([code, reason]);
  });

  it.each(["object", "number", "undefined", "null", "promise", "blob"])(
    "sending what is no message (%s) is a TypeError",
    async (what) => {
      await withNeighbours(async () => {
        const socket = webSocket(`/send?what=${what}`);
        expect((await once(socket, "close"))[0]).toBe(1011);
        expect(await handle.log.remote()).toEqual(["TypeError"]);
      });
    },
  );

  it("what is sent behind the end, and not waited for, hurts nobody", async () => {
    await withNeighbours(async () => {
      expect((await once(webSocket("/unawaited"), "close"))[0]).toBe(1000);
    });
  });

  it.each([
    ["GET", "/headers-throw"],
    ["GET", "/body-throws"],
    ["GET", "/status-wrong"],
    ["GET", "/header-wrong"],
    ["GET", "/error"],
    ["GET", "/then-throws"],
    ["GET", "/body-locked"],
    ["GET", "/chunk-wrong"],
    ["HEAD", "/headers-throw"],
    ["HEAD", "/body-throws"],
  ])("%s %s is answered with 500", async (method, path) => {
    await withNeighbours(async () => {
      expect((await fetch(url + path, { method })).status).toBe(500);
    });
  });

  it.each(["/cancel-throws", "/foreign-cancel-throws", "/return-throws"])(
    "HEAD %s lets go of its body",
    async (path) => {
      await withNeighbours(async () => {
        expect((await fetch(url + path, { method: "HEAD" })).status).toBe(200);
      });
    },
  );

  it.each(["/cancel-throws", "/return-throws", "/foreign-cancel-throws"])(
    "%s: a body whose end throws, when its client leaves",
    async (path) => {
      await withNeighbours(async () => {
        const client = await RawClient.open(url);
        client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
        await client.until("\r\n\r\n");
        client.close();
      });
    },
  );

  it("listeners of a signal that throw when the client leaves", async () => {
    await withNeighbours(async () => {
      const client = await RawClient.open(url);
      client.write("GET /listener-throws HTTP/1.1\r\nHost: a\r\n\r\n");
      const seen: string[] = [];
      const hasSeen = async (what: string): Promise<boolean> => {
        seen.push(...(await handle.log.remote()));
        return seen.includes(what);
      };
      await until(() => hasSeen("listening"), "it listens");
      client.close();
      await until(() => hasSeen("listener"), "the listener has run");
    });
  });

  it.each([1, 3, 7])("a reader that wants 16-bit numbers of %i bytes", async (bytes) => {
    await withNeighbours(async () => {
      const client = await RawClient.open(url);
      client.write("POST /byob HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
      client.write(`${bytes}\r\n${"x".repeat(bytes)}\r\n`);
      await new Promise(setImmediate);
      client.write("0\r\n\r\n");
      await client.closed();
      expect(client.text).toMatch(/^HTTP\/1\.1 500 /);
    });
  });
});
