import { countFrom1, numberWhere, read, readKeys, show, type Check } from "../deployment/option-checks.ts";
import { ConfigError } from "../errors.ts";
import type { BatchOptions } from "./batch-types.ts";

/** The settings of a batched function; the first two change while it is used. */
export interface BatchSettings<I> {
  maxBatchSize: number;
  waitMs: number | "adaptive";
  readonly maxConcurrentBatches: number;
  readonly sizeOf: ((items: readonly I[]) => number) | undefined;
}

/** As long as a timer can be. */
const LONGEST_MS = 2_147_483_647;

export const batchWait: Check<number> = numberWhere(
  (value) => value >= 0 && value <= LONGEST_MS,
  `a number of milliseconds from 0 to ${LONGEST_MS}`,
);
/** Sizes by `batchSizeOf` need not be whole. */
const size = numberWhere((value) => value > 0, "a finite number above 0");

/** @throws {ConfigError} for the first option that is unknown or wrong. */
export function resolveBatchOptions<I>(options: BatchOptions<I>): BatchSettings<I> {
  const given = readKeys(options, "", ["maxBatchSize", "batchWaitTimeoutMs", "maxConcurrentBatches", "batchSizeOf"]);
  const sizeOf = read(given, "", "batchSizeOf", sizeFunction) as BatchSettings<I>["sizeOf"];
  return {
    maxBatchSize: read(given, "", "maxBatchSize", batchSize(sizeOf)) ?? 10,
    waitMs: read(given, "", "batchWaitTimeoutMs", waitOrAdaptive) ?? 10,
    maxConcurrentBatches: read(given, "", "maxConcurrentBatches", countFrom1) ?? 1,
    sizeOf,
  };
}

/** What `maxBatchSize` may be. */
export function batchSize(sizeOf: unknown): Check<number> {
  return sizeOf === undefined ? countFrom1 : size;
}

const waitOrAdaptive: Check<number | "adaptive"> = (value, path) => {
  if (value === "adaptive") return value;
  if (typeof value === "number") return batchWait(value, path);
  throw new ConfigError(`${path} must be a number of milliseconds or "adaptive", not ${show(value)}.`, { path });
};

const sizeFunction: Check<Function> = (value, path) => {
  if (typeof value === "function") return value;
  throw new ConfigError(`${path} must be a function of the items that gives their size, not ${show(value)}.`, { path });
};
