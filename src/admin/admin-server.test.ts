import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { answersOf } from "../../test/support/raw-answers.ts";
import { RawClient } from "../../test/support/raw-client.ts";
import { serverConnections } from "../../test/support/server-connections.ts";
import { openAdminServer, type AdminServer } from "./admin-server.ts";
import { FakeService } from "./fake-service.ts";

const JSON_TYPE = { "content-type": "application/json" };
let service: FakeService;
let server: AdminServer;

beforeEach(async () => {
  service = new FakeService();
  server = await openAdminServer({ host: "127.0.0.1", port: 0, service });
});
afterEach(() => server.close());

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: any;
}

async function ask(method: string, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`${server.url}${path}`, { method, ...init });
  const text = await response.text();
  const isJson = response.headers.get("content-type") === "application/json";
  return { status: response.status, headers: response.headers, body: isJson && text !== "" ? JSON.parse(text) : text };
}

function send(method: string, path: string, body: unknown): Promise<Answer> {
  return ask(method, path, { headers: JSON_TYPE, body: JSON.stringify(body) });
}

/** Headers that `fetch` does not let one choose. */
async function statusOf(headers: Record<string, string>, path = "/api/v1/instance"): Promise<number> {
  const request = httpRequest(`${server.url}${path}`, { headers, agent: false }).end();
  const [response] = await once(request, "response");
  response.resume();
  return response.statusCode;
}

describe("what runs", () => {
  test("the status, with a slash at the end or not, and of one application", async () => {
    const { status, headers, body } = await ask("GET", "/api/v1/applications");
    expect(status).toBe(200);
    expect(headers.get("cache-control")).toBe("no-store");
    expect(body).toEqual(JSON.parse(JSON.stringify(service.status())));
    expect(body.applications.shop).toMatchObject({ name: "shop", source: "declarative", deployedConfig: service.shop });
    expect(body.applications.shop.deployments.Model.replicas[0].startedAt).toBe("1970-01-01T00:16:40.500Z");
    expect((await ask("GET", "/api/v1/applications/")).body).toEqual(body);
    expect((await ask("GET", "/api/v1/applications/shop")).body).toEqual(body.applications.shop);
    expect(await ask("GET", "/api/v1/applications/toString")).toMatchObject({
      status: 404,
      body: { error: { name: "NotFoundError", message: 'There is no application "toString".' } },
    });
    expect(await ask("HEAD", "/api/v1/applications")).toMatchObject({ status: 200, body: "" });
  });

  test("the configuration, the instance, decisions and metrics", async () => {
    expect((await ask("GET", "/api/v1/config")).body).toEqual(service.config());
    expect((await ask("GET", "/api/v1/instance/")).body).toEqual(service.describe());
    const path = "/api/v1/applications/shop/deployments/Model/decisions";
    expect((await ask("GET", path)).body.decisions).toEqual([
      {
        at: "1970-01-01T00:00:01.000Z",
        deployment: "Model",
        replicaId: "Model#0",
        action: "start",
        reason: "a replica is missing",
      },
    ]);
    expect((await ask("GET", path.replace("Model", "Other"))).status).toBe(404);
    const metrics = await ask("GET", "/metrics");
    expect(metrics.body).toBe("heliostat_up 1\n");
    expect(metrics.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  });

  test("its description has every route", async () => {
    const { body } = await ask("GET", "/api/openapi.json");
    expect(body).toMatchObject({ openapi: "3.1.0", info: { version: "1.2.3" } });
    expect(Object.keys(body.paths["/api/v1/applications"])).toEqual(["get", "put", "delete"]);
    expect(body.paths["/api/v1/applications/{app}/deployments/{deployment}/scale"].post.parameters).toHaveLength(2);
    expect(body.paths["/api/openapi.json"].get.responses["200"]).toBeDefined();
  });
});

describe("logs", () => {
  test("are lines of text, of what the query asks for", async () => {
    const { status, headers, body } = await ask("GET", "/api/v1/logs");
    expect([status, headers.get("content-type"), body]).toEqual([200, "text/plain; charset=utf-8", "one\ntwo\n"]);
    await ask("GET", "/api/v1/logs/?app=a%2Fb&deployment=M&replica=M%231&level=WARN&lines=0&follow=1");
    await ask("GET", "/api/v1/logs?app=&follow=0");
    const nothing = { app: undefined, deployment: undefined, replica: undefined };
    expect(service.asked.map(({ query }) => query)).toEqual([
      { ...nothing, level: "debug", lines: 1_000, follow: false },
      { app: "a/b", deployment: "M", replica: "M#1", level: "warn", lines: 0, follow: true },
      { ...nothing, level: "debug", lines: 1_000, follow: false },
    ]);
    expect(await ask("HEAD", "/api/v1/logs")).toMatchObject({ status: 200, body: "" });
  });

  test("what is wrong with the query is told", async () => {
    for (const [query, path] of Object.entries({
      "deployment=M": "deployment",
      "level=loud": "level",
      "lines=-1": "lines",
      "lines=1000000": "lines",
    }))
      expect(await ask("GET", `/api/v1/logs?${query}`)).toMatchObject({ status: 400, body: { error: { path } } });
    expect(await ask("GET", "/api/v1/logs?app=none")).toMatchObject({
      status: 404,
      body: { error: { message: 'There is no application "none".' } },
    });
    expect(service.asked).toEqual([]);
  });

  test("go on until the client leaves or the server closes, and break off if they cannot be read", async () => {
    service.written = endless();
    const left = new AbortController();
    const response = await fetch(`${server.url}/api/v1/logs?follow=1`, { signal: left.signal });
    const reader = response.body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe("now\n");
    const [{ signal }] = service.asked as [(typeof service.asked)[0]];
    expect(signal.aborted).toBe(false);
    left.abort();
    await expect(reader.read()).rejects.toThrow();
    if (!signal.aborted) await once(signal, "abort");

    service.written = broken();
    await expect(ask("GET", "/api/v1/logs")).rejects.toThrow("terminated");

    service.written = endless();
    const whole = ask("GET", "/api/v1/logs?follow=1");
    while (service.asked.length < 3) await new Promise((next) => setImmediate(next));
    await server.close();
    expect(await whole).toMatchObject({ status: 200, body: "now\n" });
  });

  async function* endless(): AsyncIterable<string> {
    yield "now\n";
    const { signal } = service.asked.at(-1)!;
    if (!signal.aborted) await once(signal, "abort");
  }

  // eslint-disable-next-line require-yield
  async function* broken(): AsyncIterable<string> {
    await Promise.resolve();
    throw new Error("the disk is gone");
  }
});

describe("a configuration", () => {
  test("is taken as JSON and as YAML, in either spelling, and its paths made absolute", async () => {
    const json = await send("PUT", "/api/v1/applications", { applications: [{ importPath: "./a.ts:app", nmae: "b" }] });
    expect(json.status).toBe(202);
    expect(json.body.warnings).toEqual([expect.stringMatching(/nmae is not known/), "http.port has no effect."]);
    const yaml = await ask("PUT", "/api/v1/applications/", {
      headers: { "content-type": "Application/YAML; charset=utf-8" },
      body: "http_options: { request_timeout_s: 2 }\napplications:\n  - import_path: /b.ts:app\n    route_prefix: /b\n",
    });
    expect(yaml.status).toBe(202);
    expect(service.applied).toEqual([
      { applications: [{ name: "default", routePrefix: "/", importPath: resolve("a.ts:app") }] },
      {
        http: { requestTimeoutMs: 2_000 },
        applications: [{ name: "default", routePrefix: "/b", importPath: "/b.ts:app" }],
      },
    ]);
  });

  test("that is wrong changes nothing and is told whole", async () => {
    const wrong = {
      applications: [{ name: "a" }, { importPath: "b.ts", deployments: [{ name: "M", numReplicas: 0 }] }],
    };
    const { status, body } = await send("PUT", "/api/v1/applications", wrong);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ name: "ConfigError", path: "applications[0].importPath" });
    expect(body.error.problems.map(({ path }: { path: string }) => path)).toEqual([
      "applications[0].importPath",
      "applications[1].deployments[0].numReplicas",
    ]);
    const yaml = await ask("PUT", "/api/v1/applications", {
      headers: { "content-type": "text/yaml" },
      body: "applications:\n  - name: a\n    importPath: 3\n",
    });
    expect(yaml.body.error.message).toMatch(/^body:3:17: applications\[0\]\.importPath must be/);
    for (const body of ["{", '"', "\u{0}"]) {
      const answer = await ask("PUT", "/api/v1/applications", { headers: JSON_TYPE, body });
      expect(answer).toMatchObject({ status: 400, body: { error: { name: "ConfigError", path: "" } } });
    }
    expect(service.applied).toEqual([]);
  });

  test("is only checked by a dry run", async () => {
    const right = { applications: [{ importPath: "a.ts" }] };
    expect(await send("PUT", "/api/v1/applications?dryRun=1", right)).toMatchObject({
      status: 200,
      body: { warnings: [] },
    });
    expect((await send("PUT", "/api/v1/applications?dryRun=1", {})).status).toBe(400);
    expect((await send("PUT", "/api/v1/applications/x?dryRun=1", { importPath: "a.ts" })).status).toBe(200);
    expect(service.applied.length + service.one.length).toBe(0);
    expect((await send("PUT", "/api/v1/applications?dryRun=0", right)).status).toBe(202);
  });

  test("of one application is added", async () => {
    const added = await send("PUT", "/api/v1/applications/a%20b", { import_path: "/a.ts:app", routePrefix: null });
    expect(added).toMatchObject({ status: 202, body: { warnings: [] } });
    expect(service.one).toEqual([{ name: "a b", routePrefix: null, importPath: "/a.ts:app" }]);
    const taken = await send("PUT", "/api/v1/applications/b", { importPath: "/a.ts", routePrefix: "/shop" });
    expect(taken).toMatchObject({ status: 400, body: { error: { name: "ConfigError", path: "routePrefix" } } });
    expect(taken.body.error.problems).toHaveLength(1);
    const wrong = await send("PUT", "/api/v1/applications/b", { importPath: "", routePrefix: "x" });
    expect(wrong.body.error.problems.map(({ path }: { path: string }) => path).toSorted()).toEqual([
      "importPath",
      "routePrefix",
    ]);
    expect(wrong.body.error.message).not.toContain("applications[0]");
    expect((await send("PUT", "/api/v1/applications/b", { name: "c", importPath: "a.ts" })).body.error.path).toBe(
      "name",
    );
    expect((await send("PUT", "/api/v1/applications/b", 3)).status).toBe(400);
    expect(service.one).toHaveLength(1);
  });
});

describe("steering", () => {
  test("deletes one or all", async () => {
    expect((await ask("DELETE", "/api/v1/applications/shop/")).status).toBe(200);
    expect((await ask("DELETE", "/api/v1/applications/other")).status).toBe(404);
    let gone = (): void => {};
    service.deleted = new Promise((done) => (gone = done));
    const asked = ask("DELETE", "/api/v1/applications");
    gone();
    expect((await asked).status).toBe(200);
    expect(service.deletions).toBe(1);
  });

  test("scales", async () => {
    const path = "/api/v1/applications/shop/deployments/Model/scale";
    expect((await send("POST", path, { targetNumReplicas: 3 })).status).toBe(200);
    expect((await send("POST", path, { target_num_replicas: 4 })).status).toBe(200);
    expect(service.scaled).toEqual([
      ["shop", "Model", 3],
      ["shop", "Model", 4],
    ]);
    for (const targetNumReplicas of [0, -1, 1.5, "3", undefined]) {
      const answer = await send("POST", path, { targetNumReplicas });
      expect(answer).toMatchObject({ status: 400, body: { error: { path: "targetNumReplicas" } } });
    }
    expect((await send("POST", path.replace("shop", "no"), { targetNumReplicas: 3 })).status).toBe(404);
  });

  test("shuts down when the answer has left", async () => {
    const response = await fetch(`${server.url}/api/v1/shutdown`, { method: "POST" });
    expect(response.status).toBe(202);
    expect(response.headers.get("connection")).toBe("close");
    await response.text();
    await expect.poll(() => service.shutdowns).toBe(1);
  });

  test("an error of the service is told", async () => {
    service.metrics = () => Promise.reject(new RangeError("too many"));
    expect(await ask("GET", "/metrics")).toMatchObject({
      status: 500,
      body: { error: { name: "RangeError", message: "too many" } },
    });
  });
});

describe("requests that mean nothing", () => {
  test("404, 405, 413, 415 and 400 are errors in JSON", async () => {
    expect(await ask("GET", "/api/v2")).toMatchObject({ status: 404, body: { error: { name: "NotFoundError" } } });
    const wrongMethod = await ask("POST", "/api/v1/applications");
    expect(wrongMethod).toMatchObject({ status: 405, body: { error: { name: "MethodNotAllowedError" } } });
    expect(wrongMethod.headers.get("allow")).toBe("GET, HEAD, PUT, DELETE");
    const form = await ask("PUT", "/api/v1/applications", { body: new URLSearchParams({ a: "b" }) });
    expect(form).toMatchObject({ status: 415, body: { error: { name: "UnsupportedMediaTypeError" } } });
    expect((await ask("GET", "/api/v1/applications/%ff")).status).toBe(400);
    const large = "x".repeat(4 * 1_048_576 + 1);
    const told = await ask("PUT", "/api/v1/applications", { headers: JSON_TYPE, body: large });
    expect(told).toMatchObject({ status: 413, body: { error: { name: "ContentTooLargeError" } } });
    const streamed = await ask("PUT", "/api/v1/applications", {
      headers: JSON_TYPE,
      body: new Blob([large]).stream(),
      duplex: "half",
    } as RequestInit);
    expect(streamed.status).toBe(413);
  });
});

describe("who may", () => {
  test("no page of another site, and no name that was made to mean this machine", async () => {
    const { port } = new URL(server.url);
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, "LOCALHOST", `[::1]:${port}`])
      expect(await statusOf({ host })).toBe(200);
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example", "localhost.evil.example"])
      expect(await statusOf({ host })).toBe(403);
    expect(await statusOf({ origin: server.url })).toBe(200);
    for (const origin of ["null", "http://evil.example", `http://localhost:${port}`, `https://127.0.0.1:${port}`])
      expect(await statusOf({ origin })).toBe(403);
    expect(await statusOf({ origin: "http://evil.example" }, "/metrics")).toBe(403);
    expect(await statusOf({ origin: "http://evil.example" }, "/nothing")).toBe(403);
  });

  test("with a token only who sends it", async () => {
    await server.close();
    server = await openAdminServer({ host: "127.0.0.1", port: 0, token: "s3cret", service });
    for (const authorization of ["Bearer s3cret", "bearer s3cret"]) expect(await statusOf({ authorization })).toBe(200);
    expect(await statusOf({ authorization: "Bearer s3cret", host: "box.example" })).toBe(200);
    for (const authorization of ["Bearer s3cre", "Bearer s3cretx", "s3cret", "Basic s3cret", "Bearer "])
      expect(await statusOf({ authorization })).toBe(401);
    for (const path of ["/metrics", "/api/openapi.json", "/api/v1/applications", "/nothing"]) {
      const { status, headers, body } = await ask("GET", path);
      expect(status).toBe(401);
      expect(headers.get("www-authenticate")).toBe("Bearer");
      expect(body.error.name).toBe("UnauthorizedError");
    }
  });

  test("opening fails on a port that is taken, and where others could steer without a token", async () => {
    const port = Number(new URL(server.url).port);
    await expect(openAdminServer({ host: "127.0.0.1", port, service })).rejects.toMatchObject({
      code: "CONFIG",
      path: "admin.port",
    });
    await expect(openAdminServer({ host: "0.0.0.0", port: 0, service })).rejects.toMatchObject({ path: "admin.token" });
    await expect(openAdminServer({ host: "127.0.0.1", port: 0, token: "", service })).rejects.toMatchObject({
      path: "admin.token",
    });
  });
});

test("closing lets an answer leave that is being made", async () => {
  let gone = (): void => {};
  const started = new Promise<void>((begun) => {
    service.deleteAll = () => {
      begun();
      return new Promise((done) => (gone = done));
    };
  });
  const asked = ask("DELETE", "/api/v1/applications");
  await started;
  const closed = server.close();
  gone();
  expect((await asked).headers.get("connection")).toBe("close");
  await closed;
  await expect(fetch(server.url)).rejects.toThrow();
});

describe("bytes that are no request of its own kind", () => {
  const ask = async (text: string) => answersOf((await RawClient.exchange(server.url, text)).text);

  test("a target may be a URL; its host is looked at, too", async () => {
    const get = (url: string) => `GET ${url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    const [answer] = await ask(get("http://localhost/api/v1/instance"));
    expect([answer!.status, JSON.parse(answer!.body)]).toEqual([200, expect.any(Object)]);
    expect((await ask(get("http://evil.example/api/v1/instance")))[0]!.status).toBe(403);
    expect((await ask(get("ftp://localhost/api")))[0]!.status).toBe(400);
  });

  test.each([
    ["no HTTP", "hello\r\n\r\n", 400],
    ["no Host", "GET /api/v1/instance HTTP/1.1\r\n\r\n", 400],
    [
      "two Hosts",
      "GET /api/v1/instance HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      400,
    ],
    ["CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 405],
    ["TRACE", "TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405],
    ["a header that is too large", `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, 431],
  ])("%s is answered and hurts nobody", async (_what, text, status) => {
    for (let i = 0; i < 10; i++) {
      const client = await RawClient.open(server.url);
      client.write(text + "x".repeat(50_000));
      if (i % 2 === 0) await new Promise(setImmediate);
      client.reset();
    }
    const answers = await ask(text);
    expect(answers.map((each) => each.status)).toEqual([status]);
    expect(answers[0]!.fields).toMatchObject({
      date: expect.any(String),
      "content-type": expect.stringContaining("text/plain"),
    });
    await vi.waitFor(() => expect(serverConnections(server.url)).toBe(0), { timeout: 5_000 });
  });
});
