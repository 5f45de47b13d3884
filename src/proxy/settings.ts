import type { Clock } from "../core/contracts/clock.ts";
import type { Log } from "../core/contracts/log.ts";
import type { OpenExchange } from "../core/http/exchange.ts";
import type { Cors } from "./cors.ts";
import type { ReceiveWatch } from "./receive-watch.ts";
import type { RouteTable } from "./route-table.ts";
import type { Traffic } from "./traffic.ts";
import type { TrustedProxies } from "./trusted-proxies.ts";

/** What every request of a proxy looks at. Changed in place, so that a change holds for the next request. */
export interface ProxySettings {
  readonly openExchange: OpenExchange;
  readonly clock: Clock;
  readonly log: Log;
  readonly traffic: Traffic;
  readonly scheme: "http" | "https";
  readonly maxBodyBytes: number;
  readonly pingIntervalMs: number;
  readonly trusted: TrustedProxies;
  readonly cors: Cors;
  readonly receiving: ReceiveWatch;
  routes: RouteTable;
  requestTimeoutMs: number | undefined;
  /** No new work is taken: connections close with the answer that they wait for. */
  isDraining: boolean;
}
