/** One application behind a prefix, and what its refusals look like to a client. */
export interface Route {
  readonly app: string;
  /** `/`, or a path that begins with one and does not end with one. */
  readonly prefix: string;
  /** By deployment: what a client is told when one of them refuses a request. */
  readonly backpressure: Readonly<Record<string, Refusal>>;
}

export interface Refusal {
  readonly statusCode: number;
  readonly retryAfterMs?: number | undefined;
}

/** A route that matches, and the path behind its prefix: `/` at least. */
export interface RouteMatch {
  readonly route: Route;
  readonly path: string;
}

/** Which application a path belongs to: the longest prefix that matches whole segments wins. Immutable. */
export class RouteTable {
  static readonly empty: RouteTable = new RouteTable([]);
  readonly routes: readonly Route[];
  readonly #byPrefix = new Map<string, Route>();
  /** The only route, if it takes everything: most instances have no other. */
  readonly #everything: Route | undefined;

  constructor(routes: readonly Route[]) {
    this.routes = routes;
    for (const route of routes) this.#byPrefix.set(route.prefix, route);
    this.#everything = routes.length === 1 && routes[0]!.prefix === "/" ? routes[0] : undefined;
  }

  /** @param path begins with `/`, without a query; escapes are compared as they are written. */
  match(path: string): RouteMatch | undefined {
    if (this.#everything !== undefined) return { route: this.#everything, path };
    for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1)) {
      const route = this.#byPrefix.get(path.slice(0, end));
      if (route !== undefined && route.prefix !== "/") return { route, path: path.slice(end) || "/" };
    }
    const root = this.#byPrefix.get("/");
    return root && { route: root, path };
  }

  /** The refusal of a deployment of this application, or of any other: calls may go from one to another. */
  refusalOf(app: string, deployment: string): Refusal | undefined {
    const own = this.routes.find((route) => route.app === app)?.backpressure[deployment];
    return own ?? this.routes.find((route) => deployment in route.backpressure)?.backpressure[deployment];
  }

  /** From prefix to application, in the order of the prefixes. */
  toJSON(): Record<string, string> {
    return Object.fromEntries(
      this.routes.map(({ prefix, app }) => [prefix, app] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    );
  }
}
