import type { HeaderFields } from "../exchange.ts";
import { responseParts, type ResponseParts } from "./response-parts.ts";
import { delegateRest, standIn } from "./stand-in.ts";

const TEXT_TYPE = "text/plain;charset=UTF-8";
const JSON_TYPE = "application/json";

/** A response of which nobody has asked for more than what it was made of. */
export interface PlainResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: HeaderFields;
  readonly body: string | Uint8Array | null;
}

export interface LazyResponses {
  /** What stands in for the platform's class: it makes lazy ones where that is possible. */
  readonly Response: typeof Response;
  /** Takes what a response is made of, as if its body were read; undefined if it is none of these, or was touched. */
  take(response: object): PlainResponse | undefined;
}

/**
 * A `Response` class whose simple objects keep what they were made of, and make the platform's own object only for who
 * asks for more. That object, its headers and its stream cost several times as much as everything else that happens to
 * a small request in a replica.
 *
 * What it makes is an instance of the platform's class in every respect that code can see: in its prototypes, its
 * checks, its errors; what is not simple (streams, forms, another object's fields) is made by the platform itself.
 */
export function lazyResponses(Native: typeof Response): LazyResponses {
  class LazyResponse {
    readonly #parts: ResponseParts;
    #headers: Headers | undefined = undefined;
    #native: Response | undefined = undefined;
    #isTaken = false;

    constructor(parts: ResponseParts) {
      this.#parts = parts;
    }

    get status(): number {
      return this.#parts.status;
    }

    get statusText(): string {
      return this.#parts.statusText;
    }

    get ok(): boolean {
      return this.#parts.status < 300;
    }

    get headers(): Headers {
      return (this.#headers ??= new Headers(this.#parts.fields as [string, string][]));
    }

    get bodyUsed(): boolean {
      return this.#native === undefined ? this.#isTaken : this.#native.bodyUsed;
    }

    clone(): Response {
      const copy = LazyResponse.native(this).clone();
      // Headers that were given out may have been changed since.
      if (this.#headers !== undefined) {
        for (const name of [...copy.headers.keys()]) copy.headers.delete(name);
        for (const [name, value] of this.#headers) copy.headers.append(name, value);
      }
      return copy;
    }

    static native(self: LazyResponse): Response {
      const { status, statusText, fields, body } = self.#parts;
      if (self.#native === undefined) {
        const headers = self.#headers ?? (fields as [string, string][]);
        self.#native = new Native(body as BodyInit | null, { status, statusText, headers });
        if (self.#isTaken) void self.#native.arrayBuffer();
      }
      return self.#native;
    }

    static take(response: object): PlainResponse | undefined {
      if (!(#parts in response) || response.#native !== undefined || response.#isTaken) return undefined;
      const { status, statusText, fields, body } = response.#parts;
      response.#isTaken = body !== null;
      return { status, statusText, headers: response.#headers === undefined ? fields : [...response.#headers], body };
    }
  }

  const lazy = LazyResponse.prototype;
  Object.setPrototypeOf(lazy, Native.prototype);
  delegateRest(lazy, Native.prototype, (self) => LazyResponse.native(self));

  function make(body?: unknown, init?: unknown): object {
    if (new.target === undefined) throw new TypeError("Class constructor Response cannot be invoked without 'new'");
    // A class that extends it has objects of the platform's own.
    if (new.target !== make) return Reflect.construct(Native, [body, init], new.target) as object;
    const parts = responseParts(body, init, TEXT_TYPE);
    return parts === undefined ? new Native(body as BodyInit, init as ResponseInit) : new LazyResponse(parts);
  }
  Object.defineProperty(lazy, "constructor", { value: make, writable: true, configurable: true });

  function json(data: unknown, init?: ResponseInit): Response {
    const text = JSON.stringify(data) as string | undefined;
    const parts = text === undefined ? undefined : responseParts(text, init, JSON_TYPE);
    return parts === undefined ? Native.json(data, init) : (new LazyResponse(parts) as unknown as Response);
  }

  return { Response: standIn(make, Native, { json }), take: (response) => LazyResponse.take(response) };
}
