import { ConfigError } from "../errors.ts";
import type { HttpOptions, RunOptions } from "../serve-types.ts";
import {
  above0,
  at,
  atLeast0,
  type Check,
  countFrom1,
  flag,
  listWhere,
  numberWhere,
  read,
  readKeys,
  show,
  text,
} from "./option-checks.ts";
import { isNetwork } from "./network.ts";
import { abortSignal } from "./handle-options.ts";
import { deploymentName } from "./options.ts";

/** Options of `serve.run` after checks and defaults. */
export interface ResolvedRunOptions {
  readonly name: string;
  readonly routePrefix: string | null;
  readonly local: boolean;
  readonly http: ResolvedHttpOptions;
  readonly signal: AbortSignal | undefined;
}

export interface ResolvedHttpOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly requestTimeoutMs: number | undefined;
  readonly keepAliveTimeoutMs: number;
  readonly receiveTimeoutMs: number;
  /** 0: never. */
  readonly pingIntervalMs: number;
  readonly maxHeaderBytes: number;
  readonly maxBodyBytes: number;
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string | undefined } | undefined;
  readonly trustProxy: readonly string[];
  readonly cors: readonly string[];
  readonly workers: number;
}

const runNames: readonly (keyof RunOptions)[] = ["name", "routePrefix", "local", "http", "signal"];
const httpNames: readonly (keyof HttpOptions)[] = [
  "host",
  "port",
  "requestTimeoutMs",
  "keepAliveTimeoutMs",
  "receiveTimeoutMs",
  "pingIntervalMs",
  "maxHeaderBytes",
  "maxBodyBytes",
  "tls",
  "trustProxy",
  "cors",
  "workers",
];

/**
 * Checks the options of `serve.run` and fills in the defaults.
 *
 * @throws {ConfigError} for the first key that is unknown or whose value is wrong.
 */
export function resolveRunOptions(options: RunOptions, path = ""): ResolvedRunOptions {
  const given = readKeys(options, path, runNames);
  const get = <T>(key: keyof RunOptions, check: Check<T>): T | undefined => read(given, path, key, check);
  const prefix = get("routePrefix", routePrefix);
  return {
    name: get("name", deploymentName) ?? "default",
    routePrefix: prefix === undefined ? "/" : prefix,
    local: get("local", flag) ?? false,
    http: resolveHttpOptions(given.get("http") ?? {}, at(path, "http")),
    signal: get("signal", abortSignal),
  };
}

/** @throws {ConfigError} for the first key that is unknown or whose value is wrong. */
export function resolveHttpOptions(options: unknown, path: string): ResolvedHttpOptions {
  const given = readKeys(options, path, httpNames);
  const get = <T>(key: keyof HttpOptions, check: Check<T>): T | undefined => read(given, path, key, check);
  return {
    host: get("host", text) ?? "127.0.0.1",
    port: get("port", portNumber) ?? 8000,
    requestTimeoutMs: get("requestTimeoutMs", above0),
    keepAliveTimeoutMs: get("keepAliveTimeoutMs", above0) ?? 90_000,
    receiveTimeoutMs: get("receiveTimeoutMs", above0) ?? 60_000,
    pingIntervalMs: get("pingIntervalMs", atLeast0) ?? 20_000,
    maxHeaderBytes: get("maxHeaderBytes", countFrom1) ?? 16_384,
    maxBodyBytes: get("maxBodyBytes", countFrom1) ?? 104_857_600,
    tls: get("tls", certificate),
    trustProxy: get("trustProxy", listWhere(networkAddress)) ?? [],
    cors: get("cors", listWhere(pageOrigin)) ?? [],
    workers: get("workers", countFrom1) ?? 1,
  };
}

/** Where an application's HTTP routes begin. */
export const routePrefix: Check<string | null> = (value, path) => {
  if (value === null || value === "/") return value;
  if (typeof value === "string" && value.startsWith("/") && !value.endsWith("/")) return value;
  throw new ConfigError(
    `${path} must begin with "/" and not end with one, or be null for no HTTP route, not ${show(value)}.`,
    { path },
  );
};

const portNumber = numberWhere(
  (value) => Number.isInteger(value) && value >= 0 && value <= 65_535,
  "an integer from 0 (any free port) to 65535",
);

const networkAddress: Check<string> = (value, path) => {
  if (typeof value === "string" && isNetwork(value)) return value;
  throw new ConfigError(
    `${path} must be an address such as "10.0.0.7" or a network such as "10.0.0.0/8", not ${show(value)}.`,
    { path },
  );
};

/** As browsers send it: scheme, host and port, and nothing behind them. */
const pageOrigin: Check<string> = (value, path) => {
  if (value === "*") return value;
  if (typeof value === "string" && URL.parse(value)?.origin === value) return value;
  throw new ConfigError(
    `${path} must be an origin such as "https://shop.example", without a path, or "*" for all, not ${show(value)}.`,
    { path },
  );
};

const certificate: Check<NonNullable<ResolvedHttpOptions["tls"]>> = (value, path) => {
  const given = readKeys(value, path, ["key", "cert", "ca"]);
  const key = read(given, path, "key", text);
  const cert = read(given, path, "cert", text);
  if (key === undefined || cert === undefined) {
    throw new ConfigError(`${path} needs both key and cert, as PEM text.`, { path });
  }
  return { key, cert, ca: read(given, path, "ca", text) };
};
