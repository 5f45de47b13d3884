import type { ResolvedHttpOptions } from "../../core/deployment/run-options.ts";
import type { AppTraffic } from "../../proxy/traffic.ts";
import type { Route } from "../../proxy/route-table.ts";
import type { HttpTimeouts } from "./http-proxy.ts";

/** What a new proxy process is given on its standard input: others can read a command line. */
export interface ProxyBootstrap {
  /** Where the controller and the replicas are found. */
  readonly runtimeDirectory: string;
  /** The secret of the instance, in hex. */
  readonly token: string;
  readonly http: ResolvedHttpOptions;
  /** How long it goes on without a controller. */
  readonly adoptionMs: number;
}

/** What the next controller must know of a proxy. */
export interface ProxyRecord {
  readonly http: ResolvedHttpOptions;
}

/** Controller to proxy. Those with an `id` are answered by `done`, `drain` when nothing is left. */
export type ProxyCommand =
  /**
   * Begin, with the routes and timeouts that were told before; answered by `listening` or `failed`. `isAlone`: nothing
   * else of this instance listens there yet, so whatever does is somebody else.
   */
  | { readonly type: "listen"; readonly port: number; readonly isAlone: boolean }
  | { readonly type: "routes"; readonly id: number; readonly routes: readonly Route[] }
  | ({ readonly type: "timeouts" } & HttpTimeouts)
  | { readonly type: "traffic"; readonly id: number }
  | { readonly type: "drain"; readonly id: number; readonly timeoutMs: number }
  /** Break off what is left, and exit. */
  | { readonly type: "close" };

/** Proxy to controller. The next controller is told `listening` and `traffic` too. */
export type ProxyReport =
  | { readonly type: "listening"; readonly url: string; readonly port: number }
  /** It exits by itself. */
  | { readonly type: "failed"; readonly error: unknown }
  /** All that it has answered so far: when it is asked, and from time to time, for it may end without a word. */
  | { readonly type: "traffic"; readonly apps: readonly AppTraffic[] }
  | { readonly type: "done"; readonly id: number };

/** A proxy process as its controller sees it. */
export interface ProxyProcess {
  readonly pid: number | undefined;
  send(command: ProxyCommand): void;
  /** Ends it at once. */
  kill(): void;
}

export interface ProxyProcessListener {
  onReport(report: ProxyReport): void;
  /** Once, at its end. @param how as in "it exited with code 1" */
  onExit(how: string): void;
}

export type StartProxyProcess = (listener: ProxyProcessListener) => ProxyProcess;
