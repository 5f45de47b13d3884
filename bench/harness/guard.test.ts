import { expect, test } from "vitest";
import type { Row } from "./contest.ts";
import { drops, ratiosOf } from "./guard.ts";
import type { Report } from "./report.ts";

const row = (contender: string, ratio: number): Row => ({
  what: "64 in flight",
  contender,
  ratio,
  best: 1,
  median: 1,
  callerUs: 1,
  peerUs: 1,
});

const report = (name: string, rows: Row[]): Report => ({
  heliostat: "",
  node: "",
  cpu: "",
  cores: 1,
  memoryGb: 1,
  system: "",
  date: "",
  load: 0,
  isQuick: true,
  sections: [{ name, placement: "split", rows }],
});

test("a ratio is that of a contender through the reference, and through a peer where peers are compared", () => {
  expect(ratiosOf(report("calls", [row("raw", 1), row("echo", 0.5), row("load generator alone", 90)]))).toEqual({
    "calls, split: 64 in flight, echo": 0.5,
  });
  expect(ratiosOf(report("peers", [row("heliostat", 1), row("grpc-js", 0.02)]))).toEqual({
    "peers, split: 64 in flight, grpc-js": 50,
  });
});

test("a drop of more than a quarter is told, and what was not measured is not", () => {
  const baseline = { a: 1, b: 1, c: 1, d: 1 };
  expect(drops(baseline, { a: 0.74, b: 0.76, c: 2 })).toEqual([{ what: "a", before: 1, now: 0.74 }]);
});
