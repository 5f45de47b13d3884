import type { Clock } from "../../core/contracts/clock.ts";
import type { Log } from "../../core/contracts/log.ts";
import type { AppTraffic } from "../../proxy/traffic.ts";
import type { Route } from "../../proxy/route-table.ts";
import type { HttpProxy, HttpTimeouts, ProxyProcessStatus } from "./http-proxy.ts";
import type { StartProxyProcess } from "./proxy-messages.ts";
import { type Listening, ProxyWorker, type Serving } from "./proxy-worker.ts";
import { summedTraffic } from "./summed-traffic.ts";

export interface ProxyWorkersOptions {
  readonly workers: number;
  readonly port: number;
  readonly start: StartProxyProcess;
  readonly clock: Clock;
  readonly log: Log;
}

/** Proxies in processes of their own, which share one port. */
export class ProxyWorkers implements HttpProxy {
  readonly isInThisProcess = false;
  readonly #workers: readonly ProxyWorker[];
  readonly #place: Listening;
  #serving: Serving = { routes: [], timeouts: undefined };

  private constructor(workers: readonly ProxyWorker[], place: Listening) {
    this.#workers = workers;
    this.#place = place;
  }

  /** @throws {ConfigError} with the path of the option with which no port can be opened. */
  static async open(options: ProxyWorkersOptions): Promise<ProxyWorkers> {
    // All start up at once; the first one finds out whether the port is free, or which one is.
    const workers = Array.from({ length: options.workers }, () => new ProxyWorker(options));
    try {
      const [first, ...others] = workers;
      const place = await first!.listen(options.port, true);
      await Promise.all(others.map((worker) => worker.listen(place.port, false)));
      return new ProxyWorkers(workers, place);
    } catch (error) {
      await Promise.all(workers.map((worker) => worker.close()));
      throw error;
    }
  }

  get url(): string {
    return this.#place.url;
  }

  get port(): number {
    return this.#place.port;
  }

  get processes(): readonly ProxyProcessStatus[] {
    return this.#workers.flatMap(({ status }) => status ?? []);
  }

  setRoutes(routes: readonly Route[]): Promise<void> {
    return this.#serve({ ...this.#serving, routes });
  }

  setTimeouts({ requestTimeoutMs, keepAliveTimeoutMs }: HttpTimeouts): void {
    void this.#serve({ ...this.#serving, timeouts: { requestTimeoutMs, keepAliveTimeoutMs } });
  }

  async traffic(): Promise<readonly AppTraffic[]> {
    return summedTraffic(await Promise.all(this.#workers.map((worker) => worker.traffic())));
  }

  async drain(timeoutMs: number): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.drain(timeoutMs)));
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
  }

  async #serve(serving: Serving): Promise<void> {
    this.#serving = serving;
    await Promise.all(this.#workers.map((worker) => worker.serve(serving)));
  }
}
