/**
 * Small requests over HTTP: through the proxy to a replica, beside node:http that passes them on with undici to another
 * node:http; and the proxy's own answer beside that of node:http. The load generator has a core of its own, everything
 * that serves shares the other one, so that a rate says what the serving costs.
 */
import { document } from "../fixtures/http-work.ts";
import { contest, type Contender, type Row } from "../harness/contest.ts";
import { HttpLoad, requestBytes } from "../harness/http-load.ts";
import { type HttpServer, startDirect, startHop, startServing } from "../harness/http-process.ts";
import { latencies, type Latency } from "../harness/latency.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite, type SuiteOptions, type SuiteResult, type Value } from "../harness/suite.ts";

interface Server {
  readonly name: string;
  readonly server: HttpServer;
}

const OWN = "heliostat";
const BY_HAND = "node:http, no hop";
const ALONE = "load generator alone";

await suite(async (options): Promise<SuiteResult> => {
  const [own, ...others] = await Promise.all([
    named(OWN, startServing()),
    named("undici hop to a fetch app", startHop("request", "fetch")),
    named("undici hop, dispatch, to a fetch app", startHop("dispatch", "fetch")),
    named("undici hop, dispatch, to node:http", startHop("dispatch", "by-hand")),
    named(BY_HAND, startDirect("by-hand")),
    named("fetch app, no hop", startDirect("fetch")),
    named(ALONE, startDirect("bytes")),
  ]);
  const all = [own, ...others];
  const direct = all.filter(({ name }) => name === BY_HAND || name === ALONE);
  try {
    for (const { server } of all) pinPeers(options.placement, server.pids);
    const get = requestBytes("GET", "/");
    const post = requestBytes("POST", "/", JSON.stringify(document));
    const ownAnswer = {
      name: `${OWN}, its proxy alone`,
      server: own.server,
      request: requestBytes("GET", "/-/healthz"),
    };
    const rows: Row[] = [
      // First: a server that has also taken bodies answers a third slower ever after.
      ...(await compare("own answer, 64 connections", [ownAnswer, ...direct], {
        ...options,
        request: get,
        connections: 64,
      })),
      ...(await compare("GET, 1 connection", all, { ...options, request: get, connections: 1 })),
      ...(await compare("GET, 64 connections", all, { ...options, request: get, connections: 64 })),
      ...(await compare("POST of 1 KB JSON, 64 connections", all, { ...options, request: post, connections: 64 })),
    ];
    const found = await timed("GET, 1 connection", all, { ...options, request: get });
    return { rows, latencies: found, values: values(rows), notes: notes(rows) };
  } finally {
    for (const { server } of all) await server.close();
  }
});

async function named(name: string, server: Promise<HttpServer>): Promise<Server> {
  return { name, server: await server };
}

type Comparison = SuiteOptions & { readonly request: Buffer; readonly connections: number };

async function compare(
  what: string,
  servers: readonly (Server & { readonly request?: Buffer })[],
  { request, connections, ...options }: Comparison,
): Promise<Row[]> {
  const loads: HttpLoad[] = [];
  const contenders: Contender[] = [];
  for (const { name, server, request: other = request } of servers) {
    const load = await HttpLoad.open(server.url, connections, other);
    loads.push(load);
    contenders.push({ name, peers: server.pids, run: (count) => load.run(count) });
  }
  // What makes a Request and a Response of Node's is compiled well only after some 20,000 of them.
  const { warmUpMs, sampleMs } = options;
  const rows = await contest(contenders, { ...options, what, warmUpMs: warmUpMs * 8, sampleMs: sampleMs * 2 });
  for (const load of loads) load.close();
  return rows;
}

async function timed(
  what: string,
  servers: readonly Server[],
  { request, ...options }: SuiteOptions & { readonly request: Buffer },
): Promise<Latency[]> {
  const loads = await Promise.all(servers.map(({ server }) => HttpLoad.open(server.url, 1, request)));
  const callers = servers.map(({ name }, i) => ({ name, call: () => loads[i]!.run(1) }));
  const found = await latencies(callers, { ...options, what });
  for (const load of loads) load.close();
  return found;
}

/**
 * What the serving costs in processor time, beside heliostat, which is nearly the same on a busy machine too; and how much of
 * the time the load generator was busy with the one that kept it busiest: near 100 %, it would be the limit.
 */
function values(rows: readonly Row[]): Value[] {
  const own = (what: string): Row => rows.find((row) => row.what === what)!;
  const times = rows
    .filter(({ what, contender }) => what.includes("64") && contender.startsWith("undici"))
    .map(({ what, contender, peerUs }): Value => {
      const value = peerUs / own(what).peerUs;
      return { what: `processor time, ${what}, ${contender}`, value, unit: "x", better: "higher", isRatio: true };
    });
  const share = ({ callerUs, best }: Row): number => (callerUs * best) / 1e6;
  const busiest = Math.max(...rows.filter(({ contender }) => contender !== ALONE).map(share));
  return [
    ...times,
    { what: "load generator, time on its core at most", value: busiest * 100, unit: "%", better: "lower" },
  ];
}

function notes(rows: readonly Row[]): NonNullable<SuiteResult["notes"]> {
  return ["GET, 64 connections", "own answer, 64 connections"].map((what) => {
    const of = rows.filter((row) => row.what === what);
    const fastest = Math.max(...of.filter(({ contender }) => contender !== ALONE).map(({ median }) => median));
    const alone = of.find(({ contender }) => contender === ALONE)!.median;
    return { what: `load generator, ${what}`, value: `${(alone / fastest).toFixed(1)} times as fast as the fastest` };
  });
}
