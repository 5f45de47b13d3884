import type { RequestScope } from "../handle/context.ts";
import type { RequestHead } from "./exchange.ts";

/** What makes web-standard requests of this process: made with the first one, since the class they extend is slow to load. */
let requestClass: ReturnType<typeof makeClass> | undefined;

/**
 * The web-standard request of an exchange.
 *
 * Its signal is that of the request's context, made only if somebody asks for it: given to the constructor, it would
 * cost as much as the whole request.
 */
export function httpRequest(
  scope: RequestScope,
  head: RequestHead,
  body: Uint8Array | ReadableStream<Uint8Array> | undefined,
): Request {
  requestClass ??= makeClass();
  const headers = head.headers as [string, string][];
  if (body === undefined) return new requestClass(scope, head.url, { method: head.method, headers });
  const init = { method: head.method, headers, body: body as BodyInit, duplex: "half" };
  return new requestClass(scope, head.url, init);
}

/** Whether a request of this method has a body in the web's sense. */
export function takesBody(method: string): boolean {
  return method !== "GET" && method !== "HEAD";
}

function makeClass() {
  return class Request extends globalThis.Request {
    readonly #scope: RequestScope;

    constructor(scope: RequestScope, url: string, init: RequestInit) {
      super(url, init);
      this.#scope = scope;
    }

    override get signal(): AbortSignal {
      return this.#scope.signal;
    }

    override clone(): globalThis.Request {
      const clone = super.clone();
      const scope = this.#scope;
      Object.defineProperty(clone, "signal", { get: () => scope.signal, configurable: true });
      return clone;
    }
  };
}
