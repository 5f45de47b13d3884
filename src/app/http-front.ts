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
  /** Why options that differ from those in force have no effect, and what to do about it. */
  readonly standing: string;
}

/** The HTTP side of what runs here: which application answers at which prefix, and the proxy, once there is something to serve. */
export class HttpFront {
  readonly #options: HttpFrontOptions;
  /** By application. A prefix is taken from when its application begins to be deployed. */
  readonly #prefixes = new Map<string, string>();
  readonly #routes = new Map<string, Route>();
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
  async open(http: HttpOptions = {}): Promise<HttpProxy> {
    const resolved = resolveHttpOptions(http, "http");
    const opening = (this.#opening ??= this.#options.openProxy(resolved));
    try {
      this.#proxy = await opening;
    } catch (error) {
      if (this.#opening === opening) this.#opening = undefined;
      throw error;
    }
    this.#warnOfOther(this.#proxy, http, resolved);
    return this.#proxy;
  }

  /** The application runs: from when this resolves requests go to it, or no longer do if it has no HTTP any more. */
  async publish(spec: ApplicationSpec): Promise<void> {
    if (!answersHttp(spec)) {
      await this.remove(spec.name);
      return;
    }
    this.#routes.set(spec.name, routeTo(spec));
    await this.#push();
  }

  /** These applications run already, and are served perhaps: no request must miss one of them meanwhile. */
  async publishAll(specs: readonly ApplicationSpec[]): Promise<void> {
    for (const spec of specs) if (answersHttp(spec)) this.#routes.set(spec.name, routeTo(spec));
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

  #warnOfOther({ options, port, url }: HttpProxy, given: HttpOptions, wanted: ResolvedHttpOptions): void {
    for (const key of Object.keys(given) as (keyof HttpOptions)[]) {
      if (given[key] === undefined || JSON.stringify(wanted[key]) === JSON.stringify(options[key])) continue;
      // Any free port is what it has.
      if (key === "port" && (wanted.port === 0 || wanted.port === port)) continue;
      this.#options.log.warn(`http.${key} has no effect: HTTP is served at ${url} already, ${this.#options.standing}`);
    }
  }
}

function routeTo({ name, routePrefix, deployments }: ApplicationSpec): Route {
  const backpressure = Object.fromEntries(deployments.map((each) => [each.name, each.options.backpressure] as const));
  return { app: name, prefix: routePrefix!, backpressure };
}

/** Whether HTTP requests are to be given to an application. */
export function answersHttp({ routePrefix, ingress, deployments }: ApplicationSpec): boolean {
  return routePrefix !== null && deployments.find(({ name }) => name === ingress)!.answersHttp;
}
