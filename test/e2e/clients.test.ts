import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { serve, type DeploymentHandle } from "heliostat";
import { Pool } from "undici";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { frameworks } from "../fixtures/frameworks.ts";
import { inner, web, type Web } from "../fixtures/web.ts";
import { quiet, until, watchLeftovers } from "../integration/harness.ts";

const run = promisify(execFile);
const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
const bind = (version: string) => web.options({ maxOngoingRequests: 50, version }).bind(inner.bind() as never);

let end: () => Promise<void>;
let handle: DeploymentHandle<Web>;
let url: string;

/** One instance for every client: they see the same proxy, as in life. */
beforeAll(async () => {
  end = watchLeftovers();
  handle = (await serve.run(bind("1"), { http: { port: 0, maxBodyBytes: 500_000_000 } })) as DeploymentHandle<Web>;
  url = (await serve.status()).proxies[0]!.url;
});
afterAll(() => end());
afterEach(() => quiet());

const noted = (line: string): Promise<void> =>
  until(async () => (await handle.log.remote()).includes(line), `"${line}" in the replica`);

const hasCurl = spawnSync("curl", ["--version"]).status === 0;

describe.skipIf(!hasCurl)("curl", () => {
  const curl = async (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
    run("curl", ["--silent", "--show-error", "--max-time", "15", ...args]);

  it("uploads 400 MB as a stream that neither proxy nor replica collects", async () => {
    const size = 400_000_000;
    const before = { proxy: rssMb(), replica: (await handle.stats.remote()).rssMb };
    let peak = 0;
    const watching = setInterval(() => (peak = Math.max(peak, rssMb())), 5);
    const { stdout } = await run("sh", [
      "-c",
      'head -c "$1" /dev/zero | curl --silent --show-error --max-time 15 -X POST -T - "$2"',
      "sh",
      String(size),
      `${url}/size`,
    ]);
    clearInterval(watching);
    const answer = JSON.parse(stdout) as { size: number; peakMb: number };
    expect(answer.size).toBe(size);
    // Left alone, V8 lets 64 MB of buffers gather; and a heap that is young grows.
    expect(peak - before.proxy, "more memory in the proxy").toBeLessThan(80);
    expect(answer.peakMb - before.replica, "more memory in the replica").toBeLessThan(80);
  });

  it("gets events, heads and answers to HTTP/1.0 and to an offer of HTTP/2", async () => {
    expect((await curl("-N", `${url}/sse`)).stdout).toBe("data: a\n\ndata: b\n\ndata: c\n\n");
    const head = (await curl("-I", `${url}/cookies`)).stdout;
    expect(head).toMatch(/^HTTP\/1\.1 201 Made\r\n/);
    expect(head.match(/^set-cookie: /gim)).toHaveLength(2);
    // Without chunks the end of the connection is that of the body.
    expect((await curl("--http1.0", `${url}/handle`)).stdout).toBe("abc");
    const offer = await curl("--http2", "-i", `${url}/hello`);
    expect(offer.stdout).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\nhello$/);
  });

  it("keeps its connection for the next request", async () => {
    const { stdout, stderr } = await curl("-v", `${url}/hello`, `${url}/empty`, "-d", "x", `${url}/text`);
    expect(stderr.match(/Re-using existing/g)).toHaveLength(2);
    expect(stdout).toMatch(/x$/);
  });

  it("leaves in the middle, which ends the generator in the replica", async () => {
    await curl("-N", "--max-time", "0.4", `${url}/drip`).catch(() => {});
    await noted("drip: returned, aborted: true");
  });
});

describe("undici", () => {
  let pool: Pool;
  beforeAll(() => {
    pool = new Pool(url, { connections: 4, pipelining: 2 });
  });
  afterAll(() => pool.close());

  it("has many requests on few connections", async () => {
    const bodies = Array.from({ length: 200 }, async (_, i) => {
      const { body } = await pool.request({ method: "POST", path: "/text", body: String(i) });
      return Number(await body.text());
    });
    expect(await Promise.all(bodies)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  it("streams both ways at once: each part is back before the next one leaves", async () => {
    const back: string[] = [];
    const words = async function* (): AsyncGenerator<string> {
      for (const word of ["one", "two", "three"]) {
        yield word;
        await until(() => back.includes(word), `"${word}" is back`);
      }
    };
    const { body } = await pool.request({ method: "POST", path: "/echo", body: words() as never });
    for await (const chunk of body) back.push(String(chunk));
    expect(back).toEqual(["one", "two", "three"]);
  });

  it("cancels in the replica what it aborts, and goes on", async () => {
    const leave = new AbortController();
    const started = (await handle.log.remote()).length;
    const hanging = pool.request({ method: "GET", path: "/hang", signal: leave.signal });
    await until(async () => (await handle.log.remote()).length > started, "the request has started");
    leave.abort();
    await expect(hanging).rejects.toThrow(/abort/i);
    await until(
      async () => (await handle.log.remote()).slice(started).some((line) => line.startsWith("inner: ")),
      "the nested call is cancelled",
    );
    const { body } = await pool.request({ method: "GET", path: "/hello" });
    expect(await body.text()).toBe("hello");
  });
});

it("WebSocket: pings, text, binary, and the codes of both sides", async () => {
  const address = url.replace("http", "ws");
  const socket = new WebSocket(address);
  await once(socket, "open");
  socket.ping("are you there");
  expect(String((await once(socket, "pong"))[0])).toBe("are you there");
  const megabyte = new Uint8Array(1_000_000).map((_, i) => i);
  socket.send(megabyte);
  const [data, isBinary] = (await once(socket, "message")) as [Buffer, boolean];
  expect([isBinary, Buffer.compare(data, megabyte)]).toEqual([true, 0]);
  socket.close(4002, "enough");
  expect((await once(socket, "close"))[0]).toBe(4002);
  await noted("closed: 4002 enough");
  const dismissed = new WebSocket(`${address}/bye`);
  const [code, reason] = (await once(dismissed, "close")) as [number, Buffer];
  expect([code, String(reason)]).toEqual([4001, "go away"]);
  const vanishing = new WebSocket(address);
  await once(vanishing, "open");
  vanishing.terminate();
  await until(
    async () => (await handle.log.remote()).some((line) => line.startsWith("closed: 1006")),
    "the replica knows that the client vanished",
  );
});

const python = process.env["HELIOSTAT_TEST_PYTHON"] ?? "python3";
const hasLibraries = spawnSync(python, ["-c", "import requests, websockets"]).status === 0;

it.skipIf(!hasLibraries)("Python: requests and websockets", async () => {
  const { stdout } = await run(python, [fixture("clients.py"), url], { timeout: 15_000 });
  expect(JSON.parse(stdout)).toEqual({
    cookies: [201, "Made", { a: "1", b: "2" }],
    json: { word: "tëxt" },
    form: "a=1+2",
    chunks: "one two",
    file: true,
    events: ["data: a", "data: b", "data: c"],
    head: 200,
    timeout: true,
    broken: true,
    text: "tëxt",
    binary: [1, 2, 255],
    pong: true,
    closed: [4001, "go away"],
  });
});

it.each(["hono", "h3", "itty", "itty-later"] as const)("serve.ingress with %s", async (name) => {
  await serve.run(frameworks[name], { name, routePrefix: `/${name}` });
  const item = await fetch(`${url}/${name}/items/a%20lamp?by=me`);
  expect(item.headers.get("content-type")).toMatch(/^application\/json/);
  expect(await item.json()).toEqual({ name: "a lamp", by: "me" });
  const price = await fetch(`${url}/${name}/price`, { method: "POST", body: JSON.stringify({ amount: 14 }) });
  expect([price.status, await price.json()]).toEqual([201, { price: 42 }]);
  expect((await fetch(`${url}/${name}/elsewhere`)).status).toBe(404);
  await serve.delete(name);
});

it("autocannon sees no failed request while an update rolls", async () => {
  const cannon = fileURLToPath(import.meta.resolve("autocannon"));
  const load = run(process.execPath, [cannon, "--json", "-d", "3", "-c", "8", `${url}/hello`]);
  await new Promise((resolve) => setTimeout(resolve, 700));
  const before = (await handle.stats.remote()).pid;
  await serve.run(bind("2"));
  expect((await handle.stats.remote()).pid).not.toBe(before);
  const result = JSON.parse((await load).stdout) as Record<string, number>;
  expect(result).toMatchObject({ errors: 0, timeouts: 0, non2xx: 0 });
  expect(result["2xx"]).toBeGreaterThan(100);
});

function rssMb(): number {
  return process.memoryUsage.rss() / 1_048_576;
}
