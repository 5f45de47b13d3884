import { ConfigError } from "../errors.ts";
import type { CodeReference } from "../router/snapshot.ts";
import {
  above0,
  at,
  atLeast0,
  countFrom0,
  countFrom1,
  oneOf,
  read,
  readKeys,
  show,
  type Check,
} from "./option-checks.ts";
import type { AutoscalingOptions, AutoscalingPolicy } from "./types.ts";

/** Autoscaling options after defaults and checks; plain data. */
export interface ResolvedAutoscaling {
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly initialReplicas: number;
  readonly targetOngoingRequests: number;
  readonly metricsIntervalMs: number;
  readonly lookBackPeriodMs: number;
  readonly upscaleDelayMs: number;
  readonly downscaleDelayMs: number;
  readonly downscaleToZeroDelayMs: number;
  readonly upscalingFactor: number;
  readonly downscalingFactor: number;
  readonly aggregation: "mean" | "max" | "min";
  /** The user's own policy. */
  readonly policy: CodeReference | undefined;
}

const autoscalingNames: readonly (keyof AutoscalingOptions)[] = [
  "minReplicas",
  "maxReplicas",
  "initialReplicas",
  "targetOngoingRequests",
  "metricsIntervalMs",
  "lookBackPeriodMs",
  "upscaleDelayMs",
  "downscaleDelayMs",
  "downscaleToZeroDelayMs",
  "upscalingFactor",
  "downscalingFactor",
  "aggregation",
  "policy",
];

/**
 * Checks autoscaling options and fills in the defaults.
 *
 * @throws {ConfigError} for the first key that is unknown or whose value is wrong.
 */
export function resolveAutoscaling(
  options: unknown,
  path: string,
  defaults: {
    readonly maxReplicas: number;
    readonly referenceOf: ((fn: AutoscalingPolicy) => CodeReference) | undefined;
  },
): ResolvedAutoscaling {
  const given = readKeys(options, path, autoscalingNames);
  const get = <T>(key: keyof AutoscalingOptions, check: Check<T>): T | undefined => read(given, path, key, check);
  const minReplicas = get("minReplicas", countFrom0) ?? 1;
  const maxReplicas = get("maxReplicas", countFrom1) ?? defaults.maxReplicas;
  if (maxReplicas < minReplicas) {
    throw new ConfigError(`${at(path, "maxReplicas")} is ${maxReplicas}, below minReplicas (${minReplicas}).`, {
      path: at(path, "maxReplicas"),
    });
  }
  const initialReplicas = get("initialReplicas", countFrom0) ?? minReplicas;
  if (initialReplicas < minReplicas || initialReplicas > maxReplicas) {
    throw new ConfigError(
      `${at(path, "initialReplicas")} is ${initialReplicas}; it must lie between minReplicas (${minReplicas}) and maxReplicas (${maxReplicas}).`,
      {
        path: at(path, "initialReplicas"),
      },
    );
  }
  const downscaleDelayMs = get("downscaleDelayMs", atLeast0) ?? 600_000;
  return {
    minReplicas,
    maxReplicas,
    initialReplicas,
    targetOngoingRequests: get("targetOngoingRequests", above0) ?? 2,
    metricsIntervalMs: get("metricsIntervalMs", above0) ?? 10_000,
    lookBackPeriodMs: get("lookBackPeriodMs", above0) ?? 30_000,
    upscaleDelayMs: get("upscaleDelayMs", atLeast0) ?? 30_000,
    downscaleDelayMs,
    downscaleToZeroDelayMs: get("downscaleToZeroDelayMs", atLeast0) ?? downscaleDelayMs,
    upscalingFactor: get("upscalingFactor", above0) ?? 1,
    downscalingFactor: get("downscalingFactor", above0) ?? 1,
    aggregation: get("aggregation", oneOf(["mean", "max", "min"])) ?? "mean",
    policy: get("policy", (value, policyPath) => {
      if (typeof value === "function" && defaults.referenceOf !== undefined)
        return defaults.referenceOf(value as AutoscalingPolicy);
      throw new ConfigError(`${policyPath} must be a function (context) => replicas, not ${show(value)}.`, {
        path: policyPath,
      });
    }),
  };
}
