import type { HttpProxy } from "../app/proxies/http-proxy.ts";
import { resolveHttpOptions } from "../core/deployment/run-options.ts";
import type { HttpOptions } from "../core/serve-types.ts";

/** What a port is opened with. */
const FIXED = [
  "host",
  "port",
  "receiveTimeoutMs",
  "pingIntervalMs",
  "maxHeaderBytes",
  "maxBodyBytes",
  "trustProxy",
  "cors",
  "workers",
] as const;

/** The HTTP options of an instance that serves: times may change, what the port was opened with stays. */
export class HttpInForce {
  readonly #proxy: HttpProxy;
  #options: HttpOptions;

  /** @param given what was asked for; a proxy that was taken over has its own already. */
  constructor(given: HttpOptions, proxy: HttpProxy) {
    const wanted = resolveHttpOptions({ ...given, tls: undefined }, "http");
    const others = FIXED.filter((key) => !isSame(wanted[key], proxy.options[key])).map((key) => [
      key,
      proxy.options[key],
    ]);
    this.#proxy = proxy;
    this.#options = { ...given, ...(Object.fromEntries(others) as HttpOptions) };
  }

  /** As a configuration has them; the texts of keys are nobody's business. */
  get config(): HttpOptions {
    const { tls: _, ...config } = this.#options;
    return config;
  }

  /** Times count at once, also their absence. @returns a warning for each of the others that differs. */
  apply(given: HttpOptions): string[] {
    const wanted = resolveHttpOptions({ ...given, tls: undefined }, "http");
    const now = resolveHttpOptions({ ...this.#options, tls: undefined }, "http");
    const { port, url } = this.#proxy;
    const warnings = [];
    for (const key of FIXED) {
      if (given[key] === undefined || isSame(wanted[key], now[key]) || (key === "port" && wanted.port === port))
        continue;
      warnings.push(
        `http.${key} has no effect while the instance runs: HTTP is served at ${url}. Shut it down and start it with ${JSON.stringify(wanted[key])} to change that.`,
      );
    }
    this.#proxy.setTimeouts(wanted);
    const { requestTimeoutMs: _, keepAliveTimeoutMs: __, ...kept } = this.#options;
    const { requestTimeoutMs, keepAliveTimeoutMs } = given;
    this.#options = {
      ...kept,
      ...(requestTimeoutMs === undefined ? {} : { requestTimeoutMs }),
      ...(keepAliveTimeoutMs === undefined ? {} : { keepAliveTimeoutMs }),
    };
    return warnings;
  }
}

/** Plain data, with lists among it. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
