import type { Clock, Timer } from "../contracts/clock.ts";
import type { ReplicaMessage } from "../contracts/control-messages.ts";
import type { Log } from "../contracts/log.ts";
import type { ReplicaSpec } from "../deployment/spec.ts";
import { routingStatsOf } from "./instance.ts";
import { RoutingStats } from "./routing-stats.ts";

export interface ReplicaWatchOptions {
  readonly spec: ReplicaSpec;
  readonly clock: Clock;
  readonly log: Log;
  /** Memory of the process in MB, where the engine can tell. */
  memoryMb?(): number;
  /** Runs user code as that of the replica. */
  reside<T>(fn: () => T): T;
  announce(message: Extract<ReplicaMessage, { type: "routing-stats" | "worn-out" }>): void;
}

/** How often memory is looked at, where a limit is set. */
const MEMORY_PERIOD_MS = 1_000;

/** Looks at a replica that serves, again and again: what it tells routing policies, and how much memory it uses. */
export class ReplicaWatch {
  readonly #options: ReplicaWatchOptions;
  #routingStats: RoutingStats | undefined = undefined;
  #memoryTimer: Timer | undefined = undefined;
  #isStopped = false;

  constructor(options: ReplicaWatchOptions) {
    this.#options = options;
  }

  /** No effect once it was stopped. */
  start(instance: object | Function): void {
    if (this.#isStopped) return;
    const { clock, log, spec, reside, announce } = this.#options;
    const read = routingStatsOf(instance);
    if (read !== undefined) {
      this.#routingStats = new RoutingStats({
        clock,
        log,
        ...spec.options.routingStats,
        read: () => reside(read),
        report: (stats) => announce({ type: "routing-stats", stats }),
      });
      this.#routingStats.start();
    }
    this.#lookAtMemory();
  }

  stop(): void {
    this.#isStopped = true;
    this.#routingStats?.stop();
    this.#memoryTimer?.cancel();
  }

  #lookAtMemory(): void {
    const { clock, spec, announce } = this.#options;
    const limitMb = spec.options.maxMemoryMb;
    const memoryMb = this.#options.memoryMb?.();
    if (limitMb === undefined || memoryMb === undefined) return;
    if (memoryMb > limitMb)
      announce({ type: "worn-out", reason: `it uses ${Math.round(memoryMb)} MB, over maxMemoryMb (${limitMb})` });
    else this.#memoryTimer = clock.setTimer(MEMORY_PERIOD_MS, () => this.#lookAtMemory());
  }
}
