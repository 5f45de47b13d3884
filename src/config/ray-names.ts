/** Keys of Ray Serve's file that are called something else here, by the object that they stand in. */
const RENAMED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "": { http_options: "http", logging_config: "logging" },
  deployment: {
    autoscaling_config: "autoscaling",
    backpressure_config: "backpressure",
    request_router_config: "requestRouter",
    logging_config: "logging",
    ray_actor_options: "resources",
  },
  autoscaling: { aggregation_function: "aggregation" },
  resources: { num_cpus: "cpus", num_gpus: "gpus", memory: "memoryMb", resources: "custom" },
  logging: { log_level: "level", enable_access_log: "accessLog" },
};

/** Python's names of levels that are called something else here. */
const LEVELS: Readonly<Record<string, string>> = {
  WARNING: "warn",
  CRITICAL: "error",
  10: "debug",
  20: "info",
  30: "warn",
  40: "error",
  50: "error",
};

/** A key and value in this project's spelling. */
export interface Renamed {
  readonly key: string;
  readonly value: unknown;
}

/**
 * What a key of Ray Serve's file is called here: `num_replicas` is `numReplicas`, and seconds in `…_s` are milliseconds
 * in `…Ms`.
 *
 * @param kind the object that it stands in: "" for the file, `http`, `application`, `deployment`, …
 */
export function fromRayKey(kind: string, key: string, value: unknown): Renamed {
  const names = RENAMED[kind] ?? {};
  const renamed = Object.hasOwn(names, key) ? names[key] : undefined;
  if (key.endsWith("_s")) return { key: `${toCamel(key.slice(0, -2))}Ms`, value: toMs(value) };
  const name = renamed ?? toCamel(key);
  // There 0 is no wish at all.
  if (renamed === "memoryMb" && typeof value === "number")
    return { key: name, value: value === 0 ? undefined : value / 1_048_576 };
  if (kind === "logging" && (name === "level" || name === "encoding") && typeof value === "string")
    return { key: name, value: LEVELS[value.toUpperCase()] ?? value.toLowerCase() };
  if (kind === "logging" && name === "level" && typeof value === "number")
    return { key: name, value: LEVELS[value] ?? value };
  return { key: name, value };
}

/** The name that Ray Serve has for a key; the opposite of `fromRayKey`. */
export function toRayKey(kind: string, key: string, value: unknown): Renamed {
  const renamed = Object.entries(RENAMED[kind] ?? {}).find(([, ours]) => ours === key)?.[0];
  if (key.endsWith("Ms") && typeof value === "number")
    return { key: renamed ?? `${toSnake(key.slice(0, -2))}_s`, value: value / 1_000 };
  if (key === "memoryMb" && kind === "resources" && typeof value === "number")
    return { key: renamed!, value: value * 1_048_576 };
  if (kind === "logging" && (key === "level" || key === "encoding") && typeof value === "string")
    return { key: renamed ?? toSnake(key), value: value === "warn" ? "WARNING" : value.toUpperCase() };
  return { key: renamed ?? toSnake(key), value };
}

/** Request routers of Ray Serve's that are policies here. */
const ROUTERS: Readonly<Record<string, string>> = {
  PowerOfTwoChoicesRequestRouter: "power-of-two-choices",
  RoundRobinRouter: "round-robin",
  ConsistentHashRouter: "consistent-hash",
};

/** What it has beside the router, and we have in an object of its own: what they are called there. */
export const ROUTER_STATS = {
  request_routing_stats_period_s: "periodMs",
  request_routing_stats_timeout_s: "timeoutMs",
} as const;

/** Ray Serve's options of a request router in this project's form; what has no counterpart stays as it is, to be warned of. */
export function fromRayRouter(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { request_router_class: name, ...others } = given;
  const policy =
    typeof name === "string"
      ? ROUTERS[name.slice(Math.max(name.lastIndexOf("."), name.lastIndexOf(":")) + 1)]
      : undefined;
  const stats: Record<string, unknown> = {};
  const rest: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(others)) {
    const ours = Object.hasOwn(ROUTER_STATS, key) ? ROUTER_STATS[key as keyof typeof ROUTER_STATS] : undefined;
    if (ours === undefined) rest[key] = value;
    else if (value !== undefined && value !== null) stats[ours] = toMs(value);
  }
  return {
    ...rest,
    ...(policy === undefined ? (name === undefined ? {} : { request_router_class: name }) : { policy }),
    ...(Object.keys(stats).length === 0 ? {} : { stats }),
  };
}

/** Where Ray Serve has them: it loads a router that it reads of. */
const ROUTER_MODULES: Readonly<Record<string, string>> = {
  PowerOfTwoChoicesRequestRouter: "ray.serve._private.request_router",
  RoundRobinRouter: "ray.serve.experimental.round_robin_router",
  ConsistentHashRouter: "ray.serve.experimental.consistent_hash_router",
};

/** The opposite of `fromRayRouter`. */
export function toRayRouter(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { policy, stats, ...rest } = given;
  const name = Object.entries(ROUTERS).find(([, ours]) => ours === policy)?.[0];
  const { periodMs, timeoutMs } = (stats ?? {}) as { periodMs?: number; timeoutMs?: number };
  return {
    ...rest,
    ...(name === undefined ? {} : { request_router_class: `${ROUTER_MODULES[name]}:${name}` }),
    ...(periodMs === undefined ? {} : { request_routing_stats_period_s: periodMs / 1_000 }),
    ...(timeoutMs === undefined ? {} : { request_routing_stats_timeout_s: timeoutMs / 1_000 }),
  };
}

/** Seconds as milliseconds; what is no number stays as it is, to be refused. */
function toMs(seconds: unknown): unknown {
  return typeof seconds === "number" ? Number((seconds * 1_000).toFixed(6)) : seconds;
}

function toCamel(name: string): string {
  return name.replaceAll(/_([a-z\d])/g, (_match, letter: string) => letter.toUpperCase());
}

export function toSnake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
