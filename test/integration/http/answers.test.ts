import { serve, type DeploymentHandle } from "heliostat";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answers, type Answers } from "../../fixtures/answers.ts";
import { answersOf, type RawAnswer } from "../../support/raw-answers.ts";
import { RawClient } from "../../support/raw-client.ts";
import { quiet, until, watchLeftovers } from "../harness.ts";
import { ways } from "./ways.ts";

const places = [
  ...ways.map((way) => ({ ...way, options: {} })),
  {
    ...ways[0]!,
    name: "in the driver, replicas in threads",
    mode: "processes" as const,
    options: { isolation: "thread" as const },
  },
];

describe.each(places)("what was produced arrives, $name", ({ http, mode, options }) => {
  let end: () => Promise<void>;
  let handle: DeploymentHandle<Answers>;
  let url: string;

  beforeAll(async () => {
    end = watchLeftovers();
    handle = (await serve.run(answers.options(options).bind(), {
      local: mode === "local",
      routePrefix: "/shop",
      http: { ...http(), trustProxy: ["127.0.0.0/8"], cors: ["https://page.example"], requestTimeoutMs: 3_000 },
    })) as DeploymentHandle<Answers>;
    ({ url } = (await serve.status()).proxies[0]!);
  });
  afterAll(() => end());

  const raw = async (method: string, path: string, fields = ""): Promise<RawAnswer> => {
    const text = `${method} /shop${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`;
    const [answer, ...more] = answersOf((await RawClient.exchange(url, text)).text, method === "HEAD");
    expect(more).toEqual([]);
    return answer!;
  };

  it.each<[string, number]>([
    ["/text", 5],
    ["/bytes", 70_000],
    ["/long-text", 200_000],
    ["/buffer", 300_000],
    ["/json", 7],
    ["/empty", 0],
    ["/right-length", 6],
  ])("%s has its length, for HEAD too", async (path, length) => {
    const got = await raw("GET", path);
    expect([got.status, got.fields["content-length"], got.body.length]).toEqual([200, String(length), length]);
    const head = await raw("HEAD", path);
    expect([head.status, head.fields["content-length"], head.body]).toEqual([200, String(length), ""]);
    const { date: _, "x-request-id": __, ...fields } = got.fields;
    expect(head.fields).toMatchObject(fields);
  });

  it("nothing has the length 0, and says nothing of what GET would have given", async () => {
    expect((await raw("GET", "/nothing")).fields).toMatchObject({ "content-length": "0", "x-mine": "1" });
    expect((await raw("HEAD", "/nothing")).fields).not.toHaveProperty("content-length");
    expect(await raw("GET", "/reset")).toMatchObject({ status: 205, body: "" });
    expect((await raw("GET", "/reset")).fields).not.toHaveProperty("content-length");
  });

  it("a body that comes later is sent as it comes, its head at once", async () => {
    const client = await RawClient.open(url);
    client.write("GET /shop/late HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until("\r\n\r\n");
    expect(client.text).toMatch(/^HTTP\/1\.1 201 [\s\S]*x-mine: 1\r\n/);
    expect(client.text).not.toContain("one");
    await client.until("\r\n0\r\n\r\n");
    client.close();
    expect((await raw("GET", "/generator")).body).toBe("onetwo");
  });

  it.each(["/sse-breaks", "/sse-breaks-late"])("%s: what came before the error arrives, every time", async (path) => {
    for (let i = 0; i < 20; i++) {
      const answer = await raw("GET", path);
      expect([answer.status, answer.body, answer.isWhole]).toEqual([200, "data: one\n\ndata: two\n\n", false]);
    }
  });

  it("an error before anything was produced is a 500; one that only HTTP/1.0 could mistake is a reset", async () => {
    expect((await raw("GET", "/breaks-at-once")).status).toBe(500);
    const old = await RawClient.exchange(url, "GET /shop/sse-breaks HTTP/1.0\r\nHost: a\r\n\r\n");
    expect(old.text).toMatch(/data: two\n\n$/);
    expect([old.isEnded, old.isReset]).toEqual([false, true]);
  });

  it.each(["/too-short", "/too-long"])("%s: a length that is not kept is no whole answer", async (path) => {
    const answer = await raw("GET", path);
    expect([answer.status, answer.isWhole]).toEqual([200, false]);
    expect("onetwo".startsWith(answer.body)).toBe(true);
  });

  it("what frames a message is not the application's to say, whatever class its Response has", async () => {
    const bodies = { "/framing": "hello world", "/foreign-right": "abc", "/foreign-iterable": "onetwo" };
    for (const [path, body] of Object.entries(bodies)) {
      const answer = await raw("GET", path, "X-Request-ID: mine\r\n");
      expect([answer.body, answer.isWhole]).toEqual([body, true]);
      expect(answer.fields).toMatchObject({ "x-mine": "1", "x-request-id": "mine", connection: "close" });
      for (const name of ["trailer", "keep-alive"]) expect(answer.fields).not.toHaveProperty(name);
    }
    expect(await raw("GET", "/foreign")).toMatchObject({ status: 200, isWhole: false });
  });

  it("a Response that was read is an error that says so", async () => {
    expect((await raw("GET", "/once")).status).toBe(500);
  });

  it("copies of a request follow its signal, whose reason is the platform's, with our error behind it", async () => {
    const client = await RawClient.open(url);
    client.write("POST /shop/signals HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    const seen: string[] = [];
    const noted = async (count: number): Promise<void> => {
      await until(async () => {
        seen.push(...(await handle.log.remote()));
        return seen.length >= count;
      }, `${count} notes`);
    };
    await noted(1);
    client.close();
    await noted(7);
    expect(seen).toEqual(["copied", ...Array(5).fill("true AbortError"), "true AbortError REQUEST_CANCELLED"]);
    seen.length = 0;
    expect((await raw("GET", "/signals", "x-request-timeout-seconds: 0.1\r\n")).status).toBe(408);
    await noted(7);
    expect(seen).toEqual(["copied", ...Array(5).fill("true TimeoutError"), "true TimeoutError REQUEST_TIMEOUT"]);
    await quiet();
  });

  it("the application knows the client, the scheme, the host and the prefix, through trusted proxies", async () => {
    const seen = async (fields: string) =>
      JSON.parse((await raw("GET", "/seen", fields)).body) as Record<string, unknown>;
    expect(await seen("")).toEqual({
      clientAddress: "127.0.0.1",
      ip: "127.0.0.1",
      route: "/shop",
      url: "http://a/seen",
      forwarded: ["127.0.0.1", "http", "a", "/shop"],
    });
    const proxied = "X-Forwarded-For: 9.9.9.9, 1.2.3.4, 127.0.0.2\r\nX-Forwarded-Proto: https\r\n";
    expect(await seen(`${proxied}X-Forwarded-Host: shop.example\r\nX-Forwarded-Prefix: /eu\r\n`)).toEqual({
      clientAddress: "1.2.3.4",
      ip: "1.2.3.4",
      route: "/shop",
      url: "https://shop.example/seen",
      forwarded: ["9.9.9.9, 1.2.3.4, 127.0.0.2, 127.0.0.1", "https", "shop.example", "/eu/shop"],
    });
  });

  it("pages of listed origins may read the proxy's own answers, others not, and applications say it themselves", async () => {
    const fields = async (path: string, origin: string) => {
      const text = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nOrigin: ${origin}\r\n\r\n`;
      return answersOf((await RawClient.exchange(url, text)).text)[0]!.fields;
    };
    for (const path of ["/none", "/-/healthz", "/shop/breaks-at-once"]) {
      expect(await fields(path, "https://page.example")).toMatchObject({
        "access-control-allow-origin": "https://page.example",
        "access-control-expose-headers": expect.stringContaining("X-Request-ID"),
        vary: "Origin",
      });
      expect(await fields(path, "https://other.example")).not.toHaveProperty("access-control-allow-origin");
    }
    expect(await fields("/shop/text", "https://page.example")).not.toHaveProperty("access-control-allow-origin");
  });
});
