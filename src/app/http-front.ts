import type { Log } from "../core/contracts/log.ts";
import type { ApplicationSpec } from "../core/deployment/spec.ts";
import { resolveHttpOptions, type ResolvedHttpOptions } from "../core/deployment/run-options.ts";
import { ConfigError } from "../core/errors.ts";
import type { HttpOptions, ServeStatus } from "../core/serve-types.ts";
import type { Route } from "../proxy/route-table.ts";
import type { HttpProxy, OpenProxy } from "./proxies/http-proxy.ts";

export interface HttpFrontOptions {
  readonly log: Log;
  readonly openProxy: OpenProxy;
}

/** The HTTP side of what runs here: which application answers at which prefix, and the proxy, once there is something to serve. */
export class HttpFront {
  readonly #options: HttpFrontOptions;
  /** By application. A prefix is taken from when its application begins to be deployed. */
  readonly #prefixes = new Map<string, string>();
  readonly #routes = new Map<string, Route>();
  #http: ResolvedHttpOptions | undefined = undefined;
  #proxy: HttpProxy | undefined = undefined;
  #opening: Promise<HttpProxy> | undefined = undefined;

  constructor(options: HttpFrontOptions) {
    this.#options = options;
  }

  get proxy(): HttpProxy | undefined {
    return this.#proxy;
  }

  get status(): ServeStatus["proxies"] {
    const proxy = this.#proxy;
    if (proxy === undefined) return [];
    return proxy.processes.map(({ pid, status }) => ({ nodeId: "local", url: proxy.url, pid, status }));
  }

  /**
   * Makes sure that an application can be served where it wants to be, before anything of it is started.
   *
   * @returns a function that gives its prefix back, for the case that it fails.
   * @throws {ConfigError} if its prefix or the port is taken.
   */
  async prepare(spec: ApplicationSpec, http: HttpOptions | undefined): Promise<() => void> {
    const { name, routePrefix } = spec;
    if (!answersHttp(spec)) return () => {};
    for (const [app, prefix] of this.#prefixes) {
      if (prefix !== routePrefix || app === name) continue;
      throw new ConfigError(
        `The route prefix "${prefix}" is taken by application "${app}". Give "${name}" another with routePrefix, or null for no HTTP.`,
        { path: "routePrefix" },
      );
    }
    const before = this.#prefixes.get(name);
    this.#prefixes.set(name, routePrefix!);
    const giveBack = (): void => {
      if (before === undefined) this.#prefixes.delete(name);
      else this.#prefixes.set(name, before);
    };
    try {
      await this.open(http);
    } catch (error) {
      giveBack();
      throw error;
    }
    return giveBack;
  }

  /** Opens the port, unless it is open: then other options than its own are warned of. */
  async open(http: HttpOptions | undefined): Promise<HttpProxy> {
    const resolved = resolveHttpOptions(http ?? {}, "http");
    if (this.#opening !== undefined) {
      const proxy = await this.#opening;
      this.#warnOfOther(http ?? {}, resolved);
      return proxy;
    }
    this.#http = resolved;
    this.#opening = this.#options.openProxy(resolved);
    try {
      return (this.#proxy = await this.#opening);
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  /** The application runs: from when this resolves requests go to it, or no longer do if it has no HTTP any more. */
  async publish(spec: ApplicationSpec): Promise<void> {
    if (!answersHttp(spec)) {
      await this.remove(spec.name);
      return;
    }
    const backpressure = Object.fromEntries(
      spec.deployments.map(({ name, options }) => [name, options.backpressure] as const),
    );
    this.#routes.set(spec.name, { app: spec.name, prefix: spec.routePrefix!, backpressure });
    await this.#push();
  }

  /** From when this resolves, no request goes to the application. */
  async remove(app: string): Promise<void> {
    this.#prefixes.delete(app);
    if (this.#routes.delete(app)) await this.#push();
  }

  /** Takes nothing new and lets what was accepted finish, for so long at most. */
  async drain(timeoutMs: number): Promise<void> {
    await this.#proxy?.drain(timeoutMs);
  }

  async close(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    this.#prefixes.clear();
    this.#routes.clear();
    const proxy = await opening?.catch(() => undefined);
    await proxy?.close();
    this.#proxy = undefined;
  }

  async #push(): Promise<void> {
    await this.#proxy?.setRoutes([...this.#routes.values()]);
  }

  #warnOfOther(given: HttpOptions, wanted: ResolvedHttpOptions): void {
    const http = this.#http!;
    for (const key of Object.keys(given) as (keyof HttpOptions)[]) {
      if (given[key] === undefined || JSON.stringify(wanted[key]) === JSON.stringify(http[key])) continue;
      // Any free port is what it has.
      if (key === "port" && (wanted.port === 0 || wanted.port === this.#proxy?.port)) continue;
      this.#options.log.warn(
        `http.${key} has no effect: HTTP is served at ${this.#proxy?.url} already, with the options of the first application that was served. Call serve.shutdown() first to change them.`,
      );
    }
  }
}

/** Whether HTTP requests are to be given to an application. */
export function answersHttp({ routePrefix, ingress, deployments }: ApplicationSpec): boolean {
  return routePrefix !== null && deployments.find(({ name }) => name === ingress)!.answersHttp;
}
