import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { serve } from "heliostat";
import { expect, it, onTestFinished } from "vitest";
import { openInstances } from "../../../src/app/serve.ts";
import { resolveHttpOptions } from "../../../src/core/deployment/run-options.ts";
import { systemClock } from "../../../src/engine/system-clock.ts";
import { Proxy } from "../../../src/proxy/proxy.ts";
import { inner, web } from "../../fixtures/web.ts";
import { RawClient } from "../../support/raw-client.ts";
import { until, watchLeftovers } from "../harness.ts";

/** This process holds one end of each, and needs some descriptors for itself; Node takes what it may have at most. */
const mayHave = Number(/Max open files\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? Infinity);
const connections = Math.min(10_000, 2 * Math.floor((mayHave - 500) / 2));
const why = connections < 10_000 ? ` (a process may have no more than ${mayHave} descriptors here)` : "";

it(
  `${connections} idle connections${why} cost the others nothing, and little memory`,
  { timeout: 120_000 },
  async () => {
    const end = watchLeftovers();
    await serve.run(web.bind(inner.bind() as never), { http: { port: 0 } });
    const silent = { debug() {}, info() {}, warn() {}, error() {} };
    const { openExchange } = openInstances()[0]!;
    const http = resolveHttpOptions({ port: 0 }, "http");
    const proxy = await Proxy.open({ http, openExchange, clock: systemClock, log: silent });
    proxy.setRoutes([{ app: "default", prefix: "/", backpressure: {} }]);
    const hello = async (): Promise<void> => {
      const { text } = await RawClient.exchange(
        proxy.url,
        "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      );
      expect(text).toMatch(/^HTTP\/1\.1 200 [\s\S]*hello/);
    };
    await hello();

    const before = { rss: process.memoryUsage.rss(), descriptors: descriptors() };
    const [leaving, staying] = await Promise.all([idle(proxy.url), idle(proxy.url)]);
    // Open for a client is what the system has taken; the proxy may not have looked yet.
    await until(() => descriptors() - before.descriptors >= connections, "all of them are here", 30_000);
    // Those of plain node:http take 11 to 13 KB each, measured in the same way, these 15; where code still warms up, 20.
    expect((process.memoryUsage.rss() - before.rss) / connections, "bytes for each").toBeLessThan(40_000);
    for (let i = 0; i < 50; i++) await hello();

    // Those that vanish are gone at once, those that stay are ended by the proxy's end.
    leaving.child.kill("SIGKILL");
    await until(() => descriptors() - before.descriptors < connections / 2 + 100, "half of them are gone", 30_000);
    await hello();
    await proxy.close();
    expect(await staying.says()).toBe(`ended ${connections / 2}`);
    await once(staying.child, "exit");
    await end();
    expect(descriptors()).toBeLessThanOrEqual(before.descriptors);
  },
);

/** Half of the connections, in a process of their own. */
async function idle(url: string): Promise<{ child: ChildProcess; says(): Promise<string> }> {
  const script = fileURLToPath(new URL("../../fixtures/idle-clients.ts", import.meta.url));
  const child = spawn(process.execPath, [script, url, String(connections / 2)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const says = async (): Promise<string> => String((await lines.next()).value);
  expect(await says()).toBe("ready");
  return { child, says };
}

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}
