import type { Clock } from "../core/contracts/clock.ts";
import type { Log } from "../core/contracts/log.ts";
import type { OpenExchange } from "../core/http/exchange.ts";
import type { RouteTable } from "./route-table.ts";
import type { Traffic } from "./traffic.ts";

/** What every request of a proxy looks at. Changed in place, so that a change holds for the next request. */
export interface ProxySettings {
  readonly openExchange: OpenExchange;
  readonly clock: Clock;
  readonly log: Log;
  readonly traffic: Traffic;
  readonly scheme: "http" | "https";
  readonly maxBodyBytes: number;
  routes: RouteTable;
  requestTimeoutMs: number | undefined;
  /** No new work is taken: connections close with the answer that they wait for. */
  isDraining: boolean;
}

/** How long a proxy waits for what a client sends. */
export interface Patience {
  /** How long a client may take for the head of a request. @default 20_000 */
  readonly headTimeoutMs?: number;
  /** The same for all of a request. @default 300_000 */
  readonly bodyTimeoutMs?: number;
  /** How often both are looked at. @default 5_000 */
  readonly checkPeriodMs?: number;
}
