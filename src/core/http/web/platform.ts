import type { RequestScope } from "../../handle/context.ts";
import type { RequestHead } from "../exchange.ts";
import { type LazyRequests, lazyRequests } from "./lazy-request.ts";
import { type LazyResponses, lazyResponses, type PlainResponse } from "./lazy-response.ts";

type Body = Uint8Array | ReadableStream<Uint8Array> | undefined;

/** The classes that were put in place of the platform's; undefined where that was not done. */
let installed: { readonly requests: LazyRequests; readonly responses: LazyResponses } | undefined;

/**
 * Puts classes in place of the platform's `Request` and `Response` whose objects are made as far as they are used. For a
 * process or thread that exists for one replica, before the user's code is loaded, which may keep or extend them: elsewhere
 * the globals are not ours to change.
 *
 * It loads the platform's own classes, which takes as long as much else in the start of a replica.
 */
export function installLazyClasses(global: typeof globalThis): void {
  if (installed !== undefined) return;
  const { fetch } = global;
  const { requests, responses } = (installed = {
    requests: lazyRequests(global.Request),
    responses: lazyResponses(global.Response),
  });
  define(global, "Request", requests.Request);
  define(global, "Response", responses.Response);
  const standIn = function (this: unknown, input: RequestInfo | URL, init?: RequestInit) {
    return Reflect.apply(fetch, this, [requests.native(input), init]);
  };
  Object.defineProperty(standIn, "name", { value: "fetch", configurable: true });
  define(global, "fetch", standIn);
}

/** The web-standard request of an exchange. */
export function webRequest(scope: RequestScope, head: RequestHead, body: Body): Request {
  if (installed !== undefined) return installed.requests.request(scope, head, body);
  const request = new Request(head.url, {
    method: head.method,
    headers: head.headers as [string, string][],
    signal: scope.signal,
    ...(body === undefined ? {} : { body: body as BodyInit, duplex: "half" }),
  });
  Object.defineProperty(request, "ip", { value: scope.clientAddress, configurable: true });
  return request;
}

/** Takes what a response was made of, where that is all that there is to it. */
export function plainResponse(response: Response): PlainResponse | undefined {
  return installed?.responses.take(response);
}

function define(global: typeof globalThis, name: string, value: unknown): void {
  Object.defineProperty(global, name, { value, writable: true, configurable: true, enumerable: false });
}
