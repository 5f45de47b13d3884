/**
 * Server-Sent Events on two cores: 500 clients, each with 100 events a second, beside node:http that passes them on with
 * undici; and what the processes hold while 50 more clients do not read.
 *
 * Nothing is pinned, and the clients take a part of the two cores themselves. A delay counts from when the event was due.
 */
import { EVENTS_PER_SECOND } from "../fixtures/http-work.ts";
import { median } from "../harness/contest.ts";
import { EventClients } from "../harness/event-clients.ts";
import { type HttpServer, startHop, startServing } from "../harness/http-process.ts";
import { type Latency, quantile, quantiles } from "../harness/latency.ts";
import { residentBytes } from "../harness/process-memory.ts";
import { processTimeNs } from "../harness/process-time.ts";
import { suite, type SuiteOptions, type SuiteResult, type Value } from "../harness/suite.ts";

const NAMES = ["heliostat", "undici hop, dispatch, to node:http"] as const;
const SAMPLE_MS = 50;

interface Round {
  readonly perSecond: number;
  readonly delaysUs: readonly number[];
  /** Of a core, all that serve together. */
  readonly coresUsed: number;
}

await suite(async (options): Promise<SuiteResult> => {
  const { smoke, quick } = options;
  const clients = smoke ? 10 : 500;
  const servers = [await startServing(), await startHop("dispatch", "by-hand")];
  try {
    const rounds: Round[][] = servers.map(() => []);
    for (let round = 0; round < (smoke ? 1 : quick ? 2 : 4); round++) {
      for (let i = 0; i < servers.length; i++) {
        const at = (round + i) % servers.length;
        rounds[at]!.push(await measure(servers[at]!, clients, smoke ? 500 : 3_000));
      }
    }
    const what = `${clients} streams of ${EVENTS_PER_SECOND} events/s`;
    return {
      latencies: rounds.map((own, at) => latencyOf(what, at, { own, first: rounds[0]! })),
      values: [
        ...rounds.flatMap((own, at) => delivered(NAMES[at]!, own, clients)),
        ...(await stalled(servers[0]!, clients, options)),
      ],
    };
  } finally {
    for (const server of servers) await server.close();
  }
}, "free");

async function measure({ url, pids }: HttpServer, clients: number, ms: number): Promise<Round> {
  const readers = new EventClients();
  await readers.open(url, "/events", { clients, stall: false });
  // What is compiled on the way is compiled then.
  await readers.count(ms / 2);
  const time = (): number => pids.reduce((sum, pid) => sum + processTimeNs(pid), 0);
  const before = time();
  const { perSecond, delaysUs } = await readers.count(ms);
  const coresUsed = (time() - before) / 1e6 / ms;
  readers.close();
  return { perSecond, delaysUs, coresUsed };
}

function latencyOf(
  what: string,
  at: number,
  { own, first }: { own: readonly Round[]; first: readonly Round[] },
): Latency {
  const medians = own.map(({ delaysUs }) => quantile(delaysUs, 0.5));
  const firsts = first.map(({ delaysUs }) => quantile(delaysUs, 0.5));
  const all = own.flatMap(({ delaysUs }) => delaysUs).sort((a, b) => a - b);
  return {
    what,
    contender: NAMES[at]!,
    p50Us: median(medians),
    quantilesUs: quantiles.map((share) => quantile(all, share)),
    ratio: median(medians.map((p50, round) => p50 / firsts[round]!)),
    aboveUs: median(medians.map((p50, round) => p50 - firsts[round]!)),
  };
}

function delivered(name: string, rounds: readonly Round[], clients: number): Value[] {
  const perSecond = median(rounds.map((round) => round.perSecond));
  const share = (perSecond / (clients * EVENTS_PER_SECOND)) * 100;
  const coresUsed = Math.min(...rounds.map((round) => round.coresUsed));
  return [
    { what: `events delivered, ${name}`, value: perSecond, unit: "/s", better: "higher" },
    { what: `share of those that were due, ${name}`, value: share, unit: "%", better: "higher" },
    { what: `time on cores of all that serve, ${name}`, value: coresUsed, unit: "cores", better: "lower" },
  ];
}

/** Some clients never read, and are sent 16 KB each time, so that whatever can hold something for them is full soon. */
async function stalled({ url, pids }: HttpServer, clients: number, { smoke, quick }: SuiteOptions): Promise<Value[]> {
  const stalling = smoke ? 2 : 50;
  const runMs = smoke ? 900 : quick ? 9_000 : 24_000;
  const all = new EventClients();
  await all.open(url, "/flood", { clients: stalling, stall: true });
  await all.open(url, "/events", { clients, stall: false });
  await all.count(smoke ? 100 : 8_000);
  const floods = async (): Promise<number> => (await (await fetch(`${url}/flooded`)).json()) as number;
  const before = await floods();
  const samples: number[][] = pids.map(() => []);
  const look = (): void => pids.forEach((pid, i) => samples[i]!.push(residentBytes(pid) / 1e6));
  look();
  const timer = setInterval(look, SAMPLE_MS);
  const { perSecond } = await all.count(runMs);
  clearInterval(timer);
  look();
  const made = (await floods()) - before;
  all.close();
  const growth = samples.flatMap((own, i): Value[] => {
    const third = Math.ceil(own.length / 3);
    const [first, last] = [median(own.slice(0, third)), median(own.slice(-third))];
    const who = i === pids.length - 1 ? "the replica" : i === 0 ? "the proxy" : "the program";
    return [
      { what: `resident memory of ${who}, stalled clients, first third`, value: first, unit: "MB", better: "lower" },
      { what: `last third through the first, ${who}`, value: last / first, unit: "x", better: "lower" },
    ];
  });
  return [
    { what: `events delivered beside ${stalling} stalled clients`, value: perSecond, unit: "/s", better: "higher" },
    { what: "events made for the stalled clients meanwhile", value: made, unit: "", better: "lower" },
    ...growth,
  ];
}
