import { parseArgs } from "node:util";
import type { Row } from "./contest.ts";
import type { Latency } from "./latency.ts";
import { canPin, pinCaller, type Placement } from "./placement.ts";
import { printResult } from "./table.ts";

/** How thoroughly to measure, and where. */
export interface SuiteOptions {
  readonly placement: Placement;
  readonly rounds: number;
  readonly sampleMs: number;
  readonly warmUpMs: number;
  /** Smaller numbers. */
  readonly quick: boolean;
  /** Only whether it works: the smallest numbers there are. */
  readonly smoke: boolean;
}

/** A number that is no rate beside a reference. */
export interface Value {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly better: "higher" | "lower";
  /** Says as much on another machine: it is compared with the baseline. */
  readonly isRatio?: boolean;
}

/** What a suite gives: measurements, and what else there is to say about them. */
export interface SuiteResult {
  readonly rows?: readonly Row[];
  readonly latencies?: readonly Latency[];
  readonly values?: readonly Value[];
  /** Name, value with its unit, and what is asked for, if anything. */
  readonly notes?: readonly { readonly what: string; readonly value: string; readonly target?: string }[];
  /** What was measured of others, by name. */
  readonly versions?: Readonly<Record<string, string>>;
}

/** Runs one file of `bench/micro` as a program: `--quick`, `--smoke`, `--placement split|same|free`, `--json`. */
export async function suite(
  run: (options: SuiteOptions) => Promise<SuiteResult>,
  usual: Placement = "split",
): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      smoke: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      placement: { type: "string", default: usual },
    },
  });
  const { smoke } = values;
  const quick = values.quick || smoke;
  const placement = canPin() ? (values.placement as Placement) : "free";
  pinCaller(placement);
  const effort = smoke
    ? { rounds: 1, sampleMs: 1, warmUpMs: 1 }
    : { rounds: quick ? 5 : 7, sampleMs: quick ? 80 : 200, warmUpMs: 300 };
  const result = await run({ placement, quick, smoke, ...effort });
  if (values.json) process.stdout.write(`${JSON.stringify({ placement, ...result })}\n`);
  else printResult(result, placement);
}
