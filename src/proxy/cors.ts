import type { PlainReply } from "./error-reply.ts";

const EXPOSED = "X-Request-ID, Retry-After";

/** Which pages may read the proxy's own answers: what an application says of its own is its own affair. */
export class Cors {
  readonly #origins: ReadonlySet<string>;

  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins);
  }

  /** The same answer, for the page of this origin to read if it may. */
  let(reply: PlainReply, origin: string | undefined): PlainReply {
    if (this.#origins.size === 0) return reply;
    const isAny = this.#origins.has("*");
    const vary = isAny ? [] : [["Vary", "Origin"] as const];
    const isAllowed = origin !== undefined && (isAny || this.#origins.has(origin));
    if (!isAllowed) return { ...reply, headers: [...reply.headers, ...vary] };
    return {
      ...reply,
      headers: [
        ...reply.headers,
        ...vary,
        ["Access-Control-Allow-Origin", isAny ? "*" : origin],
        // Without it a page that sends its cookies could not read the answer.
        ...(isAny ? [] : [["Access-Control-Allow-Credentials", "true"] as const]),
        ["Access-Control-Expose-Headers", EXPOSED],
      ],
    };
  }
}
