import type { Clock } from "../../core/contracts/clock.ts";
import type { Log } from "../../core/contracts/log.ts";
import type { ResolvedHttpOptions } from "../../core/deployment/run-options.ts";
import type { AppTraffic } from "../../proxy/traffic.ts";
import type { Route } from "../../proxy/route-table.ts";
import type { HttpProxy, HttpTimeouts, ProxyProcessStatus } from "./http-proxy.ts";
import type { StartProxyProcess } from "./proxy-messages.ts";
import { type Listening, ProxyWorker, type Serving } from "./proxy-worker.ts";
import { summedTraffic } from "./summed-traffic.ts";

export interface ProxyWorkersOptions {
  readonly http: ResolvedHttpOptions;
  readonly start: StartProxyProcess;
  readonly clock: Clock;
  readonly log: Log;
}

/** Proxies in processes of their own, which share one port. */
export class ProxyWorkers implements HttpProxy {
  readonly isInThisProcess = false;
  readonly options: ResolvedHttpOptions;
  readonly #workers: readonly ProxyWorker[];
  readonly #place: Listening;
  #serving: Serving = { routes: undefined, timeouts: undefined };

  private constructor(http: ResolvedHttpOptions, workers: readonly ProxyWorker[], place: Listening) {
    this.options = http;
    this.#workers = workers;
    this.#place = place;
  }

  /** @throws {ConfigError} with the path of the option with which no port can be opened. */
  static async open(options: ProxyWorkersOptions): Promise<ProxyWorkers> {
    // All start up at once; the first one finds out whether the port is free, or which one is.
    const { http } = options;
    const workers = Array.from({ length: http.workers }, () => new ProxyWorker(options));
    return closingIfItFails(workers, async () => {
      const [first, ...others] = workers;
      const place = await first!.listen(http.port, true);
      await Promise.all(others.map((worker) => worker.listen(place.port, false)));
      return new ProxyWorkers(http, workers, place);
    });
  }

  /**
   * Goes on with processes that a controller before this one has started with these options, and replaces those that
   * are missing. Until they are told, they serve what they served.
   *
   * @returns undefined if there is none left.
   */
  static async adopt(
    options: ProxyWorkersOptions,
    processes: readonly StartProxyProcess[],
  ): Promise<ProxyWorkers | undefined> {
    const join = async (worker: ProxyWorker): Promise<[ProxyWorker, Listening] | undefined> => {
      try {
        return [worker, await worker.join()];
      } catch (error) {
        options.log.warn(`A proxy cannot be taken over: ${(error as Error).message}`);
        return undefined;
      }
    };
    const joining = processes.map((adopt) => join(new ProxyWorker({ ...options, adopt })));
    const found = (await Promise.all(joining)).filter((each) => each !== undefined);
    if (found.length === 0) return undefined;
    const { http } = options;
    const [, place] = found[0]!;
    const missing = Math.max(0, http.workers - found.length);
    const others = Array.from({ length: missing }, () => new ProxyWorker(options));
    const workers = [...found.map(([worker]) => worker), ...others];
    return closingIfItFails(workers, async () => {
      await Promise.all(others.map((worker) => worker.listen(place.port, false)));
      return new ProxyWorkers(http, workers, place);
    });
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

async function closingIfItFails<T>(workers: readonly ProxyWorker[], open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    await Promise.all(workers.map((worker) => worker.close()));
    throw error;
  }
}
