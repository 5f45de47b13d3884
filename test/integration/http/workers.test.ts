import { serve } from "heliostat";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Instance } from "../../../src/app/instance.ts";
import { processPlatform } from "../../../src/app/platforms.ts";
import { resolveHttpOptions } from "../../../src/core/deployment/run-options.ts";
import { bare, inner, web } from "../../fixtures/web.ts";
import { RawClient } from "../../support/raw-client.ts";
import { childPids, failureOf, isRunning, until, watchLeftovers } from "../harness.ts";

let end: () => Promise<void>;
beforeEach(() => {
  end = watchLeftovers();
});
afterEach(() => end());

const proxies = async () => (await serve.status()).proxies;
const app = () => web.options({ maxOngoingRequests: 100 }).bind(inner.bind() as never);
const said = () => {
  const lines: string[] = [];
  vi.spyOn(process.stderr, "write").mockImplementation((line) => (lines.push(String(line)), true));
  return lines;
};

it("several processes take the connections of one port; one that is killed is replaced, and the others go on", async () => {
  await serve.run(app(), { http: { port: 0, workers: 3 } });
  const before = await proxies();
  const [{ url }, pids] = [before[0]!, before.map(({ pid }) => pid)];
  expect(childPids(process.pid)).toEqual(expect.arrayContaining(pids));
  const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.open(url)));
  const ask = async (client: RawClient): Promise<void> => {
    client.text = "";
    client.write("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until("hello");
  };
  await Promise.all(clients.map(ask));
  const lines = said();
  process.kill(pids[0]!, "SIGKILL");
  await until(async () => {
    const now = await proxies();
    return now.length === 3 && now.every(({ pid, status }) => status === "HEALTHY" && pid !== pids[0]);
  }, "another takes its place");
  vi.restoreAllMocks();
  expect(lines.join("")).toMatch(
    new RegExp(`Proxy process ${pids[0]} was killed by SIGKILL: .* another takes its place at once`),
  );
  const lost = clients.filter(({ socket }) => socket.destroyed);
  expect(lost.length).toBeGreaterThan(0);
  expect(lost.length).toBeLessThan(40);
  await Promise.all(clients.filter((client) => !lost.includes(client)).map(ask));
  const after = await proxies();
  expect(after.map((each) => each.url)).toEqual([url, url, url]);
  expect(after.map(({ pid }) => pid).filter((pid) => pids.includes(pid))).toHaveLength(2);
  for (let i = 0; i < 20; i++) {
    const client = await RawClient.open(url);
    await ask(client);
    client.close();
  }
  for (const client of clients) client.close();
});

it("requests that run when one is ended are lost with it alone", async () => {
  await serve.run(app(), { http: { port: 0, workers: 2 } });
  const [first, second] = await proxies();
  const answers = Array.from({ length: 20 }, () => fetch(`${first!.url}/slow?ms=300`).then((answer) => answer.status));
  const handle = serve.getAppHandle<{ stats(): { ongoing: number } }>();
  await until(async () => (await handle.stats.remote()).ongoing === 20, "all are running");
  const lines = said();
  process.kill(second!.pid, "SIGTERM");
  const settled = await Promise.allSettled(answers);
  vi.restoreAllMocks();
  const kept = settled.filter(({ status }) => status === "fulfilled").map((each) => (each as { value: number }).value);
  expect(new Set(kept)).toEqual(new Set([200]));
  expect(kept.length).toBeGreaterThan(0);
  expect(lines.join("")).toContain("was killed by SIGTERM");
  await until(async () => (await proxies()).every(({ status }) => status === "HEALTHY"), "another takes its place");
});

it("the port of one instance is never shared with another one", async () => {
  await serve.run(bare.bind(), { http: { port: 0, workers: 2 } });
  const port = Number(new URL((await proxies())[0]!.url).port);
  const other = await Instance.open(processPlatform());
  for (const workers of [1, 2]) {
    const failure = await failureOf(other.openProxies!(resolveHttpOptions({ port, workers }, "http")));
    expect(failure).toMatchObject({ code: "CONFIG", path: "http.port" });
  }
  const alone = await other.openProxies!(resolveHttpOptions({ port: 0 }, "http"));
  const own = Number(new URL(alone.url).port);
  expect(await failureOf(other.openProxies!(resolveHttpOptions({ port: own, workers: 2 }, "http")))).toMatchObject({
    path: "http.port",
  });
  await other.close();
  expect(alone.processes.filter(({ pid }) => isRunning(pid))).toEqual([]);
});

it("what proxies have answered is counted together, also by those that are gone", async () => {
  const instance = await Instance.open(processPlatform());
  const proxy = await instance.openProxies!(resolveHttpOptions({ port: 0, workers: 2 }, "http"));
  const ask = () =>
    Promise.all(Array.from({ length: 10 }, () => RawClient.exchange(proxy.url, "GET / HTTP/1.0\r\n\r\n")));
  await ask();
  expect(await proxy.traffic()).toMatchObject([{ app: "", byStatus: { 404: 10 } }]);
  const lines = said();
  process.kill(proxy.processes[0]!.pid, "SIGKILL");
  await until(() => proxy.processes.some(({ status }) => status !== "HEALTHY"), "it is gone");
  await until(() => proxy.processes.every(({ status }) => status === "HEALTHY"), "another takes its place");
  vi.restoreAllMocks();
  expect(lines).toHaveLength(1);
  await ask();
  expect(await proxy.traffic()).toMatchObject([{ app: "", byStatus: { 404: 20 } }]);
  await instance.close();
});

it("applications in this process's memory are served by it, and never by processes that cannot reach them", async () => {
  const lines = said();
  await serve.run(bare.bind(), { local: true, http: { port: 0, workers: 2 } });
  vi.restoreAllMocks();
  expect(lines).toEqual([expect.stringContaining("http.workers has no effect")]);
  expect((await proxies()).map(({ pid }) => pid)).toEqual([process.pid]);
  expect(await (await fetch((await proxies())[0]!.url)).text()).toBe("bare");
  await serve.shutdown();
  await serve.run(bare.bind(), { http: { port: 0, workers: 2 } });
  const refused = await failureOf(serve.run(bare.bind(), { name: "near", routePrefix: "/near", local: true }));
  expect(refused).toMatchObject({ code: "CONFIG", path: "local" });
  expect(Object.keys((await serve.status()).applications)).toEqual(["default"]);
  await serve.run(bare.bind(), { name: "near", routePrefix: null, local: true });
  expect(await (await fetch((await proxies())[0]!.url)).text()).toBe("bare");
});

it("what was accepted is finished when all ends, in every process; what comes then is not", async () => {
  await serve.run(app(), { http: { port: 0, workers: 2 } });
  const { url } = (await proxies())[0]!;
  const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.open(url)));
  for (const client of clients) client.write("GET /slow?ms=300 HTTP/1.1\r\nHost: a\r\n\r\n");
  const idle = await RawClient.open(url);
  const handle = serve.getAppHandle<{ stats(): { ongoing: number } }>();
  await until(async () => (await handle.stats.remote()).ongoing === 10, "all are running");
  const ending = serve.shutdown();
  await idle.closed();
  const late = (): Promise<string | undefined> =>
    RawClient.open(url).then(
      (client) => (client.close(), undefined),
      (error: NodeJS.ErrnoException) => error.code,
    );
  await until(async () => (await late()) === "ECONNREFUSED", "no process listens any more");
  await Promise.all([ending, ...clients.map((client) => client.closed())]);
  for (const { text } of clients) expect(text).toMatch(/^HTTP\/1\.1 200[\s\S]*"pid":/);
});

it("the first request after run finds its route in every process", async () => {
  for (let i = 0; i < 3; i++) {
    await serve.run(bare.bind(), { name: `app${i}`, routePrefix: `/${i}`, http: { port: 0, workers: 3 } });
    const { url } = (await proxies())[0]!;
    const statuses = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const client = await RawClient.exchange(url, `GET /${i} HTTP/1.0\r\n\r\n`);
        return client.text.slice(9, 12);
      }),
    );
    expect(new Set(statuses)).toEqual(new Set(["200"]));
  }
  await serve.delete("app1");
  const { url } = (await proxies())[0]!;
  const gone = await Promise.all(Array.from({ length: 12 }, () => RawClient.exchange(url, "GET /1 HTTP/1.0\r\n\r\n")));
  expect(new Set(gone.map(({ text }) => text.slice(9, 12)))).toEqual(new Set(["404"]));
});
