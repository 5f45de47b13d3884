import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from "vitest";
import { WebSocket } from "ws";
import { Client } from "../../../src/client/client.ts";
import { findInstance } from "../../../src/client/find-instance.ts";
import { defaultHandleOptions } from "../../../src/core/deployment/handle-options.ts";
import { Handle } from "../../../src/core/handle/handle.ts";
import type { DeploymentHandle } from "../../../src/core/handle/types.ts";
import { INGRESS } from "../../../src/core/router/snapshot.ts";
import type { ServeStatus } from "../../../src/core/serve-types.ts";
import type { Kept } from "../../fixtures/builds/kept.ts";
import { RawClient } from "../../support/raw-client.ts";
import { BackgroundInstance } from "../background-instance.ts";
import { isRunning, until } from "../harness.ts";

/** C12: those who use an instance do not notice that its controller is gone, nor that there is another. */

const module = fileURLToPath(new URL("../../fixtures/builds/kept.ts", import.meta.url));
// Each starts two instances, one after the other.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 30_000 });

let instance: BackgroundInstance;
beforeEach(() => {
  instance = new BackgroundInstance();
});
afterEach(() => instance.end());

/** What serves, when everything runs. */
async function serving(): Promise<{ replicas: number[]; proxies: number[] }> {
  let seen = { replicas: [] as number[], proxies: [] as number[] };
  await until(
    async () => {
      const { applications, proxies } = await instance.ask<ServeStatus>("GET", "applications");
      const { kept } = applications;
      if (kept?.status !== "RUNNING" || proxies.some(({ status }) => status !== "HEALTHY")) return false;
      const replicas = kept.deployments["Kept"]!.replicas.map(({ pid }) => pid!);
      seen = { replicas, proxies: proxies.map(({ pid }) => pid) };
      return true;
    },
    "everything runs",
    15_000,
  );
  for (const pid of [...seen.replicas, ...seen.proxies]) instance.pids.add(pid);
  return seen;
}

const deploy = (more: object = {}) =>
  instance.ask("PUT", "applications", { applications: [{ name: "kept", importPath: `${module}:app` }], ...more });

const log = (): string => readFileSync(instance.state.file("logs/instance.log"), "utf8");
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

it("under load over HTTP and by a client no request fails, and replicas, proxies and connections stay", async () => {
  await instance.start({ http: { port: 0, workers: 2 } });
  await deploy();
  const before = await serving();
  const { httpUrl } = instance.record;
  const client = new Client(() => findInstance({ HELIOSTAT_STATE_DIR: instance.state.path }));
  const target = { app: "kept", deployment: INGRESS };
  const handle = new Handle(client.caller, target, defaultHandleOptions) as unknown as DeploymentHandle<Kept>;
  let isOver = false;
  // Also if it fails: nobody would end what goes on.
  onTestFinished(() => {
    isOver = true;
    client.close();
  });
  const failures: unknown[] = [];
  const done = { requests: 0, calls: 0 };
  const repeat = async (what: keyof typeof done, once: (i: number) => Promise<boolean>): Promise<void> => {
    for (let i = 0; !isOver; i++) {
      const isGood = await once(i).catch((error: unknown) => error);
      if (isGood === true) done[what]++;
      else {
        failures.push(isGood);
        // What fails at once would leave no time for anything else.
        await wait(5);
      }
    }
  };
  const request = async (): Promise<boolean> => {
    const answer = await fetch(httpUrl);
    return before.replicas.includes(Number(await answer.text()));
  };
  const load = [
    ...Array.from({ length: 4 }, () => repeat("requests", request)),
    ...Array.from({ length: 4 }, () => repeat("calls", async (i) => (await handle.double.remote(i)) === 2 * i)),
  ];
  const socket = new WebSocket(httpUrl.replace("http", "ws"));
  await once(socket, "open");
  const echo = async (word: string): Promise<string> => {
    socket.send(word);
    return String((await once(socket, "message"))[0]);
  };
  expect(await echo("before")).toBe("before");
  const stream = await fetch(`${httpUrl}/stream`);
  const slow = fetch(`${httpUrl}/slow`).then(({ status }) => status);
  await wait(200);
  await instance.kill();
  const [whenKilled, meanwhile] = [{ ...done }, await echo("meanwhile")];
  expect(meanwhile).toBe("meanwhile");
  await wait(1_000);
  expect(done.requests).toBeGreaterThan(whenKilled.requests + 20);
  expect(done.calls).toBeGreaterThan(whenKilled.calls + 20);
  await instance.start({ http: { port: 0, workers: 2 } });
  expect(instance.record.httpUrl).toBe(httpUrl);
  expect(await serving()).toEqual(before);
  expect(await echo("afterwards")).toBe("afterwards");
  expect((await stream.text()).match(/;/g)).toHaveLength(60);
  expect(await slow).toBe(200);
  await wait(500);
  isOver = true;
  await Promise.all(load);
  expect(failures).toEqual([]);
  // What was counted before is not lost.
  const metrics = await (await fetch(`${instance.record.adminUrl}/metrics`)).text();
  const [, counted] = /heliostat_http_requests_total\{application="kept",status="200"\} (\d+)/.exec(metrics)!;
  expect(Number(counted)).toBe(done.requests + 2);
  socket.close();
  await once(socket, "close");
  client.close();
});

it("the next controller steers them: routes, timeouts, and another in the place of one that ends", async () => {
  await instance.start();
  await deploy();
  const before = await serving();
  await instance.kill();
  await instance.start();
  const { httpUrl } = instance.record;
  expect(await serving()).toEqual(before);
  const routes = async (): Promise<unknown> => (await fetch(`${httpUrl}/-/routes`)).json();
  expect(await routes()).toEqual({ "/": "kept" });
  await instance.ask("PUT", "applications", {
    applications: [{ name: "kept", routePrefix: "/moved", importPath: `${module}:app` }],
    http: { requestTimeoutMs: 300 },
  });
  await until(async () => JSON.stringify(await routes()) === '{"/moved":"kept"}', "it has moved", 15_000);
  expect((await fetch(`${httpUrl}/moved/slow`)).status).toBe(408);
  process.kill(before.proxies[0]!, "SIGKILL");
  await until(async () => (await serving()).proxies[0] !== before.proxies[0], "another takes its place");
  expect((await fetch(`${httpUrl}/moved/slow`)).status).toBe(408);
  // Once more, with one that the one before had started.
  const after = await serving();
  await instance.kill();
  await instance.start();
  expect(await serving()).toEqual(after);
  expect((await fetch(`${httpUrl}/moved/slow`)).status).toBe(408);
});

it("one that ends while there is no controller is missing until the next one replaces it at the same port", async () => {
  await instance.start({ http: { port: 0, workers: 2 } });
  await deploy();
  const before = await serving();
  const { httpUrl } = instance.record;
  await instance.kill();
  process.kill(before.proxies[0]!, "SIGKILL");
  await until(() => !isRunning(before.proxies[0]!), "it is gone");
  const get = () => RawClient.exchange(httpUrl, "GET / HTTP/1.0\r\n\r\n").catch(() => undefined);
  // Its port may outlive it for a moment, in which connections are lost with it.
  await until(async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, get));
    return answers.every((answer) => answer?.text.includes(" 200 OK"));
  }, "the other one takes all connections");
  await instance.start({ http: { port: 0, workers: 2 } });
  const after = await serving();
  expect(instance.record.httpUrl).toBe(httpUrl);
  expect(after.proxies).toHaveLength(2);
  expect(after.proxies.filter((pid) => before.proxies.includes(pid))).toEqual([before.proxies[1]]);
  expect(after.replicas).toEqual(before.replicas);
});

it("a start with other options finds them with those that they have, and says so", async () => {
  await instance.start({ http: { port: 0, maxBodyBytes: 1_000 } });
  await deploy();
  const before = await serving();
  const { httpUrl } = instance.record;
  await instance.kill();
  await instance.start({ http: { port: 1, maxBodyBytes: 2_000, workers: 3 } });
  expect(await serving()).toEqual(before);
  expect(instance.record.httpUrl).toBe(httpUrl);
  for (const key of ["port", "maxBodyBytes", "workers"])
    expect(log()).toMatch(
      new RegExp(`http\\.${key} has no effect: HTTP is served at ${httpUrl} already, by processes of`),
    );
  const tooLarge = await fetch(httpUrl, { method: "POST", body: "a".repeat(1_001) });
  expect(tooLarge.status).toBe(413);
});

it("who is not taken over in time ends by itself, and gives its port back", async () => {
  await instance.start({ http: { port: 0 }, adoptionMs: 400 });
  await deploy();
  const before = await serving();
  await instance.kill();
  await until(() => ![...before.proxies, ...before.replicas].some(isRunning), "they end", 10_000);
  const port = Number(new URL(instance.record.httpUrl).port);
  await instance.start({ http: { port } });
  await serving();
  expect((await fetch(instance.record.httpUrl)).status).toBe(200);
});

it("one that was told to finish does so, and is no use to the next controller", async () => {
  await instance.start();
  await deploy();
  const before = await serving();
  const { httpUrl } = instance.record;
  const client = await RawClient.open(httpUrl);
  client.write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  await wait(200);
  process.kill(instance.record.pid, "SIGTERM");
  await until(
    () =>
      RawClient.open(httpUrl).then(
        (late) => (late.close(), false),
        () => true,
      ),
    "it takes nothing new",
  );
  await instance.kill();
  await client.closed();
  expect(client.text).toMatch(/^HTTP\/1\.1 200/);
  await until(() => !isRunning(before.proxies[0]!), "it ends");
  await instance.start();
  const after = await serving();
  expect(after.replicas).toEqual(before.replicas);
  expect((await fetch(instance.record.httpUrl)).status).toBe(200);
});
