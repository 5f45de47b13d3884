import { findLatency, findRow, findValue, type Report } from "./harness/report.ts";

/** What the suite is asked to reach. */
export interface Target {
  readonly work: string;
  readonly target: string;
  /** Its value in a report, undefined if it was not measured. */
  of(report: Report): number | undefined;
  readonly unit: string;
  passes(value: number): boolean;
}

type Path = { suite: string; placement: string; what: string; contender: string };

const echo = "handle, echo {a, b}";
const noop = "handle, no-op";
const bestRay = "Ray Serve, at its best";

const atLeast = (work: string, least: number, unit: string, of: Target["of"]): Target => ({
  work,
  target: `at least ${least}${unit}`,
  of,
  unit,
  passes: (value) => value >= least,
});
const atMost = (work: string, most: number, unit: string, of: Target["of"]): Target => ({
  work,
  target: `at most ${most}${unit}`,
  of,
  unit,
  passes: (value) => value <= most,
});

const ratio = (suite: string, placement: string, what: string, contender: string): Target["of"] => {
  return (report) => findRow(report, { suite, placement, what, contender })?.ratio;
};
/** How many times as fast as what it is compared with. */
const times = (suite: string, placement: string, what: string, contender: string): Target["of"] => {
  const of = ratio(suite, placement, what, contender);
  return (report) => {
    const found = of(report);
    return found === undefined ? undefined : 1 / found;
  };
};
const latency = (path: Path, pick: "p50Us" | "ratio" | "aboveUs", factor = 1): Target["of"] => {
  return (report) => {
    const found = findLatency(report, path);
    return found === undefined ? undefined : found[pick] * factor;
  };
};
const value = (suite: string, placement: string, what: string | RegExp): Target["of"] => {
  return (report) => findValue(report, { suite, placement, what })?.value;
};

const one = (placement: string): Path => ({ suite: "calls", placement, what: "1 in flight", contender: echo });

const peers: readonly (readonly [peer: string, least: number])[] = [
  ["fork, json", 1.8],
  ["piscina", 4.5],
  ["tinypool", 4.5],
  ["moleculer", 4.5],
  ["comlink", 6],
  ["capnweb", 6],
  ["undici to node:http", 9],
  ["grpc-js", 50],
];

/** Everything that is asked for, in the order in which it is told. */
export const targets: readonly Target[] = [
  atMost("1 in flight, p50 above raw, same core", 2, " us", latency(one("same"), "aboveUs")),
  atMost("1 in flight, p50 through raw, split", 1.1, " x", latency(one("split"), "ratio")),
  atLeast("64 in flight, echo through raw, split", 0.6, " x", ratio("calls", "split", "64 in flight", echo)),
  atLeast("64 in flight, echo through raw, same core", 0.35, " x", ratio("calls", "same", "64 in flight", echo)),
  atLeast("64 in flight, no-op through raw, split", 0.7, " x", ratio("calls", "split", "64 in flight", noop)),
  atLeast("512 in flight, echo through raw, split", 0.27, " x", ratio("calls", "split", "512 in flight", echo)),
  atLeast("512 in flight, no-op through raw, split", 0.45, " x", ratio("calls", "split", "512 in flight", noop)),
  atMost(
    "above the session, a call, caller's time",
    0.5,
    " us",
    value("calls", "split", "handle above the session, caller's time, 64 in flight"),
  ),
  ...peers.map(([peer, least]) =>
    atLeast(`64 in flight, against ${peer}`, least, " x", times("peers", "split", "echo, 64 in flight", peer)),
  ),
  atLeast(
    "64 in flight, against Ray Serve at its best",
    300,
    " x",
    times("ray", "free", "echo, 64 in flight", bestRay),
  ),
  atLeast(
    "1 in flight, p50 against Ray Serve at its best",
    15,
    " x",
    latency({ suite: "ray", placement: "free", what: "echo, 1 in flight", contender: bestRay }, "ratio"),
  ),
  atLeast("stream, items a second, split", 1.2, " M", (report) => {
    const path = { suite: "stream", placement: "split", what: "items of 1 stream", contender: "a stream" };
    const found = findRow(report, path);
    return found === undefined ? undefined : found.median / 1e6;
  }),
  atLeast("stream, against Ray Serve at its best", 100, " x", times("ray", "free", "items of a stream", bestRay)),
  atMost(
    "first item with 500 streams open, p50",
    2,
    " ms",
    latency({ suite: "stream", placement: "split", what: "500 other streams", contender: "first item" }, "p50Us", 1e-3),
  ),
  ...["there", "back"].flatMap((way) => [
    atLeast(`1 MB ${way}, 4 in flight, split`, 2, " GB/s", value("payload", "split", `1 MB ${way}`)),
    atLeast(
      `1 MB ${way}, 4 in flight, through raw, split`,
      0.8,
      " x",
      ratio("payload", "split", `1 MB ${way}`, way === "there" ? "argument of a call" : "result of a call"),
    ),
  ]),
  ...["there", "back"].map((way) =>
    atLeast(
      `1 MB ${way}, 4 in flight, thread, split`,
      5,
      " GB/s",
      value("payload", "split", `1 MB ${way}, in a thread`),
    ),
  ),
  atMost(
    "small calls during 16 MB transfers, p50 through idle",
    3,
    " x",
    value("interference", "split", "p50 during transfers through idle"),
  ),
  ...(
    [
      ["2 hops", 2.2],
      ["3 hops", 3.3],
    ] as const
  ).map(([contender, most]) =>
    atMost(
      `${contender}, p50 through 1 hop`,
      most,
      " x",
      latency({ suite: "hops", placement: "split", what: "1 in flight", contender }, "ratio"),
    ),
  ),
  atMost(
    "broadcast to 8, p50",
    0.5,
    " ms",
    latency({ suite: "broadcast", placement: "split", what: "to 8 replicas", contender: "broadcast" }, "p50Us", 1e-3),
  ),
  atMost(
    "1 replica ready, above bare Node",
    40,
    " ms",
    value("cold-start", "free", "1 replica above bare Node, built"),
  ),
  atMost("8 replicas ready", 800, " ms", value("cold-start", "free", "8 replicas ready, built")),
  atMost(
    "private memory of an idle replica above bare Node",
    12,
    " MB",
    value("cold-start", "free", "private memory of an idle replica above it"),
  ),
  atMost("router, 10 replicas", 0.3, " us", value("router", "free", "power of two choices, 10 replicas")),
  atMost("router, 1,000 replicas", 0.5, " us", value("router", "free", "power of two choices, 1000 replicas")),
  atMost(
    "memory of a call in flight",
    400,
    " bytes",
    value("memory", "free", "a call at a replica that does not answer"),
  ),
  atMost("left after each call", 1, " bytes", (report) => {
    const left = findValue(report, { suite: "memory", placement: "free", what: /^left of / });
    return left === undefined ? undefined : (left.value * 1_000) / Number(left.what.replace(/\D/g, ""));
  }),
  atMost(
    "4 callers, limit 1: idle while requests wait",
    1,
    " %",
    value("queueing", "free", "idle while requests wait"),
  ),
  // The work of a fetch app is what a replica does: it takes a Request and gives a Response.
  ...["undici hop to a fetch app", "undici hop, dispatch, to a fetch app"].map((hop) =>
    atLeast(`GET by proxy and replica, against an ${hop}`, 2, " x", times("http", "split", "GET, 64 connections", hop)),
  ),
  atLeast(
    "proxy alone, through node:http",
    0.85,
    " x",
    times("http", "split", "own answer, 64 connections", "node:http, no hop"),
  ),
  atLeast(
    "500 streams of 100 events/s: share of the events delivered",
    99.5,
    " %",
    value("http-sse", "free", "share of those that were due, heliostat"),
  ),
  ...["proxy", "replica"].map((who) =>
    atMost(
      `memory of the ${who} with 50 stalled clients, last third through the first`,
      // Collections come and go; what is held for such clients without a bound would make it several times as much.
      1.1,
      " x",
      value("http-sse", "free", `last third through the first, the ${who}`),
    ),
  ),
  ...[bestRay, "Ray Serve, behind HAProxy"].map((contender) =>
    atLeast(`GET, against ${contender}`, 50, " x", times("http-ray", "free", "GET, 64 connections", contender)),
  ),
];
