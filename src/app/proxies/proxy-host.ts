import type { Clock } from "../../core/contracts/clock.ts";
import type { Log } from "../../core/contracts/log.ts";
import type { ResolvedHttpOptions } from "../../core/deployment/run-options.ts";
import type { HttpProxy } from "./http-proxy.ts";
import type { ProxyHome } from "./proxy-home.ts";
import type { ProxyRecord, StartProxyProcess } from "./proxy-messages.ts";
import type { ProxyWorkersOptions } from "./proxy-workers.ts";

export interface ProxyHostOptions extends ProxyHome {
  readonly clock: Clock;
  readonly log: Log;
}

/** Where an instance has its proxies in processes: starts them, or takes over those that one before it has left. */
export class ProxyHost {
  readonly #options: ProxyHostOptions;
  readonly #open: HttpProxy[] = [];
  /** What there was before this instance started any; looked for once. */
  #mayHaveLeft = true;

  constructor(options: ProxyHostOptions) {
    this.#options = options;
  }

  /** @throws {ConfigError} with the path of the option with which no port can be opened. */
  async open(http: ResolvedHttpOptions): Promise<HttpProxy> {
    const { ProxyWorkers } = await import("./proxy-workers.ts");
    const opened = (await this.#adopt()) ?? (await ProxyWorkers.open(await this.#like({ http })));
    this.#open.push(opened);
    return opened;
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((each) => each.close()));
  }

  async #adopt(): Promise<HttpProxy | undefined> {
    const left = this.#mayHaveLeft ? (this.#options.kept?.processes.find() ?? []) : [];
    this.#mayHaveLeft = false;
    if (left.length === 0) return undefined;
    const [{ AdoptedProxy }, { ProxyWorkers }] = await Promise.all([
      import("./adopted-proxy.ts"),
      import("./proxy-workers.ts"),
    ]);
    return ProxyWorkers.adopt(
      // Those of one instance are alike.
      await this.#like(left[0]!.about),
      left.map((found) => (listener) => new AdoptedProxy(this.#options, found, listener)),
    );
  }

  async #like(record: ProxyRecord): Promise<ProxyWorkersOptions> {
    const { ProxyChild } = await import("./proxy-child.ts");
    const { clock, log } = this.#options;
    const start: StartProxyProcess = (listener) => new ProxyChild(this.#options, record, listener);
    return { http: record.http, clock, log, start };
  }
}
