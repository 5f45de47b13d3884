/**
 * A small text over HTTP and 64 connections, beside Ray Serve's HTTP in the same rounds: its own proxy, with Ray's defaults
 * and at its best, HAProxy in front of its replica, and its replica alone. Nothing is pinned, as in `ray`.
 */
import { createServer, type Server } from "node:net";
import { once } from "node:events";
import { contest, type Contender } from "../harness/contest.ts";
import { HttpLoad, requestBytes } from "../harness/http-load.ts";
import { startServing } from "../harness/http-process.ts";
import { isInOwnNetwork, moveToOwnNetwork } from "../harness/own-network.ts";
import { installRay, type RayOptions, RayServe } from "../harness/ray-serve.ts";
import { suite, type Value } from "../harness/suite.ts";

const CONNECTIONS = 64;

installRay();
// The statistics of the HAProxy that Ray starts listen on all addresses.
moveToOwnNetwork();

await suite(async (options) => {
  const own = await startServing();
  const rays: RayServe[] = [];
  const loads: HttpLoad[] = [];
  const contenders: Contender[] = [];
  const add = async (name: string, url: string, peers: readonly number[]): Promise<void> => {
    const load = await HttpLoad.open(url, CONNECTIONS, requestBytes("GET", "/"));
    loads.push(load);
    contenders.push({ name, peers, run: (count) => load.run(count) });
  };
  const startRay = async (isTuned: boolean, http: object = {}): Promise<{ ray: RayServe; port: number }> => {
    const port = await freePorts();
    const ray = await RayServe.start({ isTuned, http: { port, ...http } } satisfies RayOptions);
    rays.push(ray);
    return { ray, port };
  };
  try {
    await add("heliostat", own.url, own.pids);
    const usual = await startRay(false);
    await add("Ray Serve, defaults", at(usual.port), usual.ray.pids);
    const tuned = await startRay(true);
    await add("Ray Serve, at its best", at(tuned.port), tuned.ray.pids);
    // The time of all that Ray runs, which is the same instance: its proxy has nothing to do.
    await add("Ray Serve, its replica alone", at(tuned.port + 1), tuned.ray.pids);
    if (isInOwnNetwork()) {
      const { ray, port } = await startRay(true, { isBehindHaproxy: true });
      await add("Ray Serve, behind HAProxy", at(port), ray.pids);
    }
    const rows = await contest(contenders, {
      ...options,
      what: `GET, ${CONNECTIONS} connections`,
      warmUpMs: 2_000,
      // Of what takes 100 ms each, few would fit into a shorter one.
      sampleMs: options.sampleMs * 4,
    });
    const value = "unshare cannot give this program a network of its own";
    return {
      rows,
      values: rows.slice(1).map(({ contender, peerUs }): Value => {
        const value = peerUs / rows[0]!.peerUs;
        return { what: `processor time, ${contender}`, value, unit: "x", better: "higher", isRatio: true };
      }),
      versions: { "Ray Serve": usual.ray.version },
      notes: isInOwnNetwork() ? [] : [{ what: "HAProxy, not measured", value }],
    };
  } finally {
    for (const load of loads) load.close();
    for (const ray of rays) await ray.close();
    await own.close();
  }
}, "free");

function at(port: number): string {
  return `http://127.0.0.1:${port}`;
}

/** Two that follow each other and are free. @returns the first one. */
async function freePorts(): Promise<number> {
  for (;;) {
    const first = createServer().listen(0, "127.0.0.1");
    await once(first, "listening");
    const { port } = first.address() as { port: number };
    const second = createServer().listen(port + 1, "127.0.0.1");
    const isFree = await once(second, "listening").then(
      () => true,
      () => false,
    );
    await Promise.all([close(first), close(second)]);
    if (isFree) return port;
  }
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
