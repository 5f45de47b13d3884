import { parseArgs } from "node:util";
import type { Row } from "./contest.ts";
import { canPin, pinCaller, type Placement } from "./placement.ts";
import { printNotes, printRows } from "./table.ts";

/** How thoroughly to measure, and where. */
export interface SuiteOptions {
  readonly placement: Placement;
  readonly rounds: number;
  readonly sampleMs: number;
  readonly quick: boolean;
}

/** What a suite gives: measurements, and what else there is to say about them. */
export interface SuiteResult {
  readonly rows: readonly Row[];
  /** Name, value with its unit, and what is asked for, if anything. */
  readonly notes?: readonly { readonly what: string; readonly value: string; readonly target?: string }[];
}

/** Runs one file of `bench/micro` as a program: `--quick`, `--placement split|same|free`, `--json`. */
export async function suite(
  run: (options: SuiteOptions) => Promise<SuiteResult>,
  usual: Placement = "split",
): Promise<void> {
  const { values } = parseArgs({
    options: { quick: { type: "boolean" }, json: { type: "boolean" }, placement: { type: "string", default: usual } },
  });
  const quick = values.quick ?? false;
  const placement = canPin() ? (values.placement as Placement) : "free";
  pinCaller(placement);
  const result = await run({ placement, quick, rounds: quick ? 5 : 9, sampleMs: quick ? 80 : 400 });
  if (values.json === true) {
    process.stdout.write(`${JSON.stringify({ placement, ...result })}\n`);
  } else {
    printRows(result.rows, placement);
    printNotes(result.notes ?? []);
  }
}
