import type { RouterPolicy } from "../router/policy.ts";
import type { CodeReference, PolicyName } from "../router/snapshot.ts";
import { ConfigError } from "../errors.ts";
import { resolveAutoscaling, type ResolvedAutoscaling } from "./autoscaling-options.ts";
import {
  above0,
  at,
  atLeast0,
  countFrom1,
  flag,
  listOf,
  listWhere,
  numberWhere,
  oneOf,
  read,
  readKeys,
  recordOf,
  show,
  text,
  type Check,
} from "./option-checks.ts";
import type { AutoscalingPolicy, DeploymentOptions } from "./types.ts";

/** Deployment options after defaults and checks: plain data that can be sent to another process, but for functions, which are named by `CodeReference`. */
export interface ResolvedOptions {
  readonly numReplicas: number;
  readonly maxOngoingRequests: number;
  /** -1: no limit. */
  readonly maxQueuedRequests: number;
  /** Wrapped so that `undefined` given differs from not given. */
  readonly userConfig: { readonly value: unknown } | undefined;
  readonly healthCheckPeriodMs: number;
  readonly healthCheckTimeoutMs: number;
  readonly gracefulShutdownWaitLoopMs: number;
  readonly gracefulShutdownTimeoutMs: number;
  readonly policy: PolicyName | CodeReference;
  readonly routingStats: { readonly periodMs: number; readonly timeoutMs: number };
  readonly backpressure: { readonly statusCode: 429 | 503; readonly retryAfterMs: number | undefined };
  readonly rollingUpdatePercentage: number;
  readonly maxConstructorRetryCount: number;
  readonly maxMemoryMb: number | undefined;
  readonly maxRequests: number | undefined;
  readonly isolation: "process" | "thread";
  readonly env: Readonly<Record<string, string>>;
  readonly nodeOptions: readonly string[];
  readonly logging: { readonly level: "debug" | "info" | "warn" | "error"; readonly accessLog: boolean };
  readonly version: string | undefined;
  /** Only if autoscaling was asked for; `numReplicas` is then where it starts. */
  readonly autoscaling?: ResolvedAutoscaling;
  /** Only if resources were given. */
  readonly resources?: ResolvedResources;
}

export interface ResolvedResources {
  readonly cpus?: number;
  readonly gpus?: number;
  readonly memoryMb?: number;
  readonly custom: Readonly<Record<string, number>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** Names a function that is an option's value, so that other processes can find it. */
export type ReferenceOf = (fn: RouterPolicy | AutoscalingPolicy) => CodeReference;

export const policyNames: readonly PolicyName[] = ["power-of-two-choices", "round-robin", "consistent-hash"];

const optionNames: readonly (keyof DeploymentOptions)[] = [
  "name",
  "module",
  "numReplicas",
  "maxOngoingRequests",
  "maxQueuedRequests",
  "userConfig",
  "autoscaling",
  "healthCheckPeriodMs",
  "healthCheckTimeoutMs",
  "gracefulShutdownWaitLoopMs",
  "gracefulShutdownTimeoutMs",
  "requestRouter",
  "backpressure",
  "rollingUpdatePercentage",
  "maxConstructorRetryCount",
  "maxMemoryMb",
  "maxRequests",
  "resources",
  "isolation",
  "env",
  "nodeOptions",
  "logging",
  "version",
];

const replicaCount: Check<number | "auto"> = (value, path) => {
  if (value === "auto" || (Number.isInteger(value) && (value as number) >= 1)) return value as number | "auto";
  throw new ConfigError(`${path} must be an integer of at least 1 or "auto", not ${show(value)}.`, { path });
};
const queueLimit = numberWhere(
  (value) => value === -1 || (Number.isInteger(value) && value >= 1),
  "-1 (no limit) or an integer of at least 1",
);
const share = numberWhere((value) => value > 0 && value <= 1, "a number above 0 and up to 1");

/**
 * Checks deployment options and fills in the defaults.
 *
 * @param path where the options stand, put before the path of every error.
 * @param referenceOf names functions among the values; without it they are refused.
 * @throws {ConfigError} for the first key that is unknown or whose value is wrong.
 */
export function resolveOptions(options: DeploymentOptions, path = "", referenceOf?: ReferenceOf): ResolvedOptions {
  const given = readKeys(options, path, optionNames);
  const get = <T>(key: keyof DeploymentOptions, check: Check<T>): T | undefined => read(given, path, key, check);
  get("name", deploymentName);
  get("module", moduleUrl);
  const count = get("numReplicas", replicaCount);
  if (typeof count === "number" && given.has("autoscaling")) {
    throw new ConfigError(
      `${at(path, "numReplicas")} is ${count}, but autoscaling decides the number of replicas. Remove one of the two, or write numReplicas: "auto".`,
      { path: at(path, "numReplicas") },
    );
  }
  const autoscaling =
    count === "auto" || given.has("autoscaling")
      ? resolveAutoscaling(given.get("autoscaling") ?? {}, at(path, "autoscaling"), {
          maxReplicas: count === "auto" ? 100 : 1,
          referenceOf,
        })
      : undefined;
  const resources = get("resources", readResources);
  const { policy, routingStats } = readRouter(given.get("requestRouter") ?? {}, at(path, "requestRouter"), referenceOf);
  return {
    numReplicas:
      autoscaling === undefined ? ((count as number | undefined) ?? 1) : Math.max(1, autoscaling.initialReplicas),
    maxOngoingRequests: get("maxOngoingRequests", countFrom1) ?? 5,
    maxQueuedRequests: get("maxQueuedRequests", queueLimit) ?? -1,
    userConfig: Object.hasOwn(options, "userConfig") ? { value: options.userConfig } : undefined,
    healthCheckPeriodMs: get("healthCheckPeriodMs", above0) ?? 10_000,
    healthCheckTimeoutMs: get("healthCheckTimeoutMs", above0) ?? 30_000,
    gracefulShutdownWaitLoopMs: get("gracefulShutdownWaitLoopMs", atLeast0) ?? 2_000,
    gracefulShutdownTimeoutMs: get("gracefulShutdownTimeoutMs", atLeast0) ?? 20_000,
    policy,
    routingStats,
    backpressure: readBackpressure(given.get("backpressure") ?? {}, at(path, "backpressure")),
    rollingUpdatePercentage: get("rollingUpdatePercentage", share) ?? 0.2,
    maxConstructorRetryCount: get("maxConstructorRetryCount", countFrom1) ?? 20,
    maxMemoryMb: get("maxMemoryMb", above0),
    maxRequests: get("maxRequests", countFrom1),
    isolation: get("isolation", oneOf(["process", "thread"])) ?? "process",
    env: get("env", recordOf(text)) ?? {},
    nodeOptions: get("nodeOptions", listWhere(text)) ?? [],
    logging: readLogging(given.get("logging") ?? {}, at(path, "logging")),
    version: get("version", text),
    ...(autoscaling === undefined ? {} : { autoscaling }),
    ...(resources === undefined ? {} : { resources }),
  };
}

/** Names appear in logs, labels and paths of the status: no control characters, and none that separates parts there. */
export const deploymentName: Check<string> = (value, path) => {
  if (typeof value === "string" && /^[^\p{C}#/\\]{1,128}$/u.test(value) && value.trim() === value) return value;
  throw new ConfigError(
    `${path} must be a name of 1 to 128 characters without "#", "/", "\\", control characters, or spaces at its ends, not ${show(value)}.`,
    { path },
  );
};

const moduleUrl: Check<string> = (value, path) => {
  if (typeof value === "string" && URL.canParse(value)) return value;
  throw new ConfigError(
    `${path} must be the URL of a module, not ${show(value)}. Write module: import.meta.url in the module that defines the class.`,
    { path },
  );
};

function readRouter(
  value: unknown,
  path: string,
  referenceOf: ReferenceOf | undefined,
): Pick<ResolvedOptions, "policy" | "routingStats"> {
  const given = readKeys(value, path, ["policy", "stats"]);
  const statsPath = at(path, "stats");
  const stats = readKeys(given.get("stats") ?? {}, statsPath, ["periodMs", "timeoutMs"]);
  return {
    policy: readPolicy(given.get("policy") ?? "power-of-two-choices", at(path, "policy"), referenceOf),
    routingStats: {
      periodMs: read(stats, statsPath, "periodMs", above0) ?? 10_000,
      timeoutMs: read(stats, statsPath, "timeoutMs", above0) ?? 30_000,
    },
  };
}

function readPolicy(value: unknown, path: string, referenceOf: ReferenceOf | undefined): PolicyName | CodeReference {
  if (typeof value === "function" && referenceOf !== undefined) return referenceOf(value as RouterPolicy);
  if (policyNames.includes(value as PolicyName)) return value as PolicyName;
  throw new ConfigError(
    `${path} must be one of ${listOf(policyNames)}, or a function (candidates, request) => candidate | null, not ${show(value)}.`,
    { path },
  );
}

function readBackpressure(value: unknown, path: string): ResolvedOptions["backpressure"] {
  const given = readKeys(value, path, ["statusCode", "retryAfterMs"]);
  return {
    statusCode: read(given, path, "statusCode", oneOf([429, 503])) ?? 503,
    retryAfterMs: read(given, path, "retryAfterMs", atLeast0),
  };
}

function readLogging(value: unknown, path: string): ResolvedOptions["logging"] {
  const given = readKeys(value, path, ["level", "accessLog"]);
  return {
    level: read(given, path, "level", oneOf(["debug", "info", "warn", "error"])) ?? "info",
    accessLog: read(given, path, "accessLog", flag) ?? false,
  };
}

function readResources(value: unknown, path: string): ResolvedResources {
  const given = readKeys(value, path, ["cpus", "gpus", "memoryMb", "custom", "labels"]);
  const cpus = read(given, path, "cpus", atLeast0);
  const gpus = read(given, path, "gpus", atLeast0);
  const memoryMb = read(given, path, "memoryMb", above0);
  return {
    ...(cpus === undefined ? {} : { cpus }),
    ...(gpus === undefined ? {} : { gpus }),
    ...(memoryMb === undefined ? {} : { memoryMb }),
    custom: read(given, path, "custom", recordOf(atLeast0)) ?? {},
    labels: read(given, path, "labels", recordOf(text)) ?? {},
  };
}
