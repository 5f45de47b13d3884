import type { ResolvedHttpOptions } from "../../core/deployment/run-options.ts";
import { Proxy, type ProxyOptions } from "../../proxy/proxy.ts";
import type { Route } from "../../proxy/route-table.ts";
import type { AppTraffic } from "../../proxy/traffic.ts";
import type { HttpProxy, HttpTimeouts, ProxyProcessStatus } from "./http-proxy.ts";

/** The proxy of an embedded instance: it serves in the driver's process. */
export class OwnProxy implements HttpProxy {
  readonly isInThisProcess = true;
  readonly options: ResolvedHttpOptions;
  readonly #proxy: Proxy;

  private constructor(proxy: Proxy, options: ResolvedHttpOptions) {
    this.#proxy = proxy;
    this.options = options;
  }

  static async open(options: ProxyOptions): Promise<OwnProxy> {
    return new OwnProxy(await Proxy.open(options), options.http);
  }

  get url(): string {
    return this.#proxy.url;
  }

  get port(): number {
    return this.#proxy.port;
  }

  get processes(): readonly ProxyProcessStatus[] {
    return [{ pid: process.pid, status: this.#proxy.status }];
  }

  setRoutes(routes: readonly Route[]): Promise<void> {
    this.#proxy.setRoutes(routes);
    return Promise.resolve();
  }

  setTimeouts(timeouts: HttpTimeouts): void {
    this.#proxy.setTimeouts(timeouts);
  }

  traffic(): Promise<readonly AppTraffic[]> {
    return Promise.resolve(this.#proxy.traffic.snapshot());
  }

  drain(timeoutMs: number): Promise<void> {
    return this.#proxy.drain(timeoutMs);
  }

  close(): Promise<void> {
    return this.#proxy.close();
  }
}
