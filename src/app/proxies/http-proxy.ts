import type { ResolvedHttpOptions } from "../../core/deployment/run-options.ts";
import type { AppTraffic } from "../../proxy/traffic.ts";
import type { Route } from "../../proxy/route-table.ts";

/** What may change while requests are served. */
export type HttpTimeouts = Pick<ResolvedHttpOptions, "requestTimeoutMs" | "keepAliveTimeoutMs">;

/** One process that serves HTTP. */
export interface ProxyProcessStatus {
  readonly pid: number;
  readonly status: "STARTING" | "HEALTHY" | "UNHEALTHY" | "DRAINING";
}

/** Serves HTTP at one address, in however many processes. */
export interface HttpProxy {
  /** What it was opened with. */
  readonly options: ResolvedHttpOptions;
  readonly url: string;
  readonly port: number;
  /** Whether it serves in this process, and so reaches applications that are in its memory. */
  readonly isInThisProcess: boolean;
  readonly processes: readonly ProxyProcessStatus[];
  /** Resolves when requests that begin from now on see these routes, and no others. */
  setRoutes(routes: readonly Route[]): Promise<void>;
  setTimeouts(timeouts: HttpTimeouts): void;
  /** What was answered since it was opened. */
  traffic(): Promise<readonly AppTraffic[]>;
  /** Takes nothing new and lets what was accepted finish, for so long at most. */
  drain(timeoutMs: number): Promise<void>;
  /** Breaks off what is still open. Idempotent. */
  close(): Promise<void>;
}

/** Opens the port, or goes on with what serves already. @throws {ConfigError} with the path of the option with which that cannot be done. */
export type OpenProxy = (http: ResolvedHttpOptions) => Promise<HttpProxy>;
