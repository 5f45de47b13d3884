import { flag, read, readKeys, show } from "../core/deployment/option-checks.ts";
import { ConfigError } from "../core/errors.ts";

/** Options of `serve.run` after checks and defaults. */
export interface ResolvedRunOptions {
  readonly name: string;
  readonly routePrefix: string | null;
  readonly local: boolean;
  readonly signal: AbortSignal | undefined;
}

const names = ["name", "routePrefix", "local", "http", "signal"] as const;

/** @throws {ConfigError} for the first key that is unknown or whose value is wrong. Name and prefix are checked with the application. */
export function resolveRunOptions(options: object): ResolvedRunOptions {
  const given = readKeys(options, "", names);
  const { name, routePrefix, signal } = given as { name?: unknown; routePrefix?: unknown; signal?: unknown };
  if (name !== undefined && typeof name !== "string") throw new ConfigError(`name must be a string, not ${show(name)}.`, { path: "name" });
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new ConfigError(`signal must be an AbortSignal, not ${show(signal)}. Write signal: controller.signal.`, { path: "signal" });
  }
  return {
    name: name ?? "default",
    routePrefix: routePrefix === undefined ? "/" : (routePrefix as string | null),
    local: read(given, "", "local", flag) ?? false,
    signal,
  };
}
