import type { RequestScope } from "../../handle/context.ts";
import type { RequestHead } from "../exchange.ts";
import { delegateRest, standIn } from "./stand-in.ts";

export interface LazyRequests {
  /** What stands in for the platform's class: it takes lazy requests where that takes its own. */
  readonly Request: typeof Request;
  /** The request of an exchange. */
  request(scope: RequestScope, head: RequestHead, body: Uint8Array | ReadableStream<Uint8Array> | undefined): Request;
  /** The platform's own object behind a lazy one; anything else is given back. */
  native<T>(value: T): T | Request;
}

const decoder = new TextDecoder();

/**
 * Requests that are told of themselves (method, URL, headers, a body that came whole) without the platform's own object,
 * which is made for who asks for more, or copies them: it costs more than all else that happens to a small request.
 */
export function lazyRequests(Native: typeof Request): LazyRequests {
  class LazyRequest {
    readonly #scope: RequestScope;
    readonly #head: RequestHead;
    readonly #body: Uint8Array | ReadableStream<Uint8Array> | undefined;
    #headers: Headers | undefined = undefined;
    #native: Request | undefined = undefined;
    #isRead = false;

    constructor(scope: RequestScope, head: RequestHead, body: Uint8Array | ReadableStream<Uint8Array> | undefined) {
      this.#scope = scope;
      this.#head = head;
      this.#body = body;
    }

    get method(): string {
      return this.#head.method;
    }

    get url(): string {
      return this.#head.url;
    }

    get headers(): Headers {
      return (this.#headers ??= new Headers(this.#head.headers as [string, string][]));
    }

    get signal(): AbortSignal {
      return this.#scope.signal;
    }

    get bodyUsed(): boolean {
      return this.#native === undefined ? this.#isRead : this.#native.bodyUsed;
    }

    get body(): ReadableStream<Uint8Array> | null {
      return this.#body === undefined ? null : LazyRequest.native(this).body;
    }

    /** The client's address, where servers for fetch handlers tell it. */
    get ip(): string | undefined {
      return this.#scope.clientAddress;
    }

    text(): Promise<string> {
      const bytes = this.#read();
      return bytes === undefined ? LazyRequest.native(this).text() : Promise.resolve(decoder.decode(bytes));
    }

    async json(): Promise<unknown> {
      const bytes = this.#read();
      return bytes === undefined ? LazyRequest.native(this).json() : JSON.parse(decoder.decode(bytes));
    }

    clone(): Request {
      return LazyRequest.native(this).clone();
    }

    /** The whole body, the first time that it is asked for; undefined: the platform's own object is to say what it is. */
    #read(): Uint8Array | undefined {
      const body = this.#body;
      if (this.#native !== undefined || this.#isRead || !(body === undefined || body instanceof Uint8Array))
        return undefined;
      // A body that there is not can be read any number of times.
      this.#isRead = body !== undefined;
      return body ?? NO_BYTES;
    }

    static native(self: LazyRequest): Request {
      if (self.#native === undefined) {
        const { method, url, headers } = self.#head;
        const body = self.#body as BodyInit | undefined;
        self.#native = new Native(url, {
          method,
          headers: self.#headers ?? (headers as [string, string][]),
          signal: self.#scope.signal,
          ...(body === undefined ? {} : { body, duplex: "half" }),
        });
        if (self.#isRead) void self.#native.arrayBuffer();
      }
      return self.#native;
    }

    static is(value: unknown): value is LazyRequest {
      return typeof value === "object" && value !== null && #head in value;
    }
  }

  const lazy = LazyRequest.prototype;
  Object.setPrototypeOf(lazy, Native.prototype);
  delegateRest(lazy, Native.prototype, (self) => LazyRequest.native(self));

  function native<T>(value: T): T | Request {
    return LazyRequest.is(value) ? LazyRequest.native(value) : value;
  }

  function make(input: RequestInfo | URL, init?: RequestInit): object {
    if (new.target === undefined) throw new TypeError("Class constructor Request cannot be invoked without 'new'");
    // Without an argument the platform is to say what is missing.
    const args = arguments.length === 0 ? [] : [native(input), init];
    return Reflect.construct(Native, args, new.target === make ? Native : new.target) as object;
  }
  Object.defineProperty(lazy, "constructor", { value: make, writable: true, configurable: true });

  return {
    Request: standIn(make, Native),
    request: (scope, head, body) => new LazyRequest(scope, head, body) as unknown as Request,
    native,
  };
}

const NO_BYTES = new Uint8Array(0);
