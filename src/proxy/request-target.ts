import type { ExchangeOptions } from "../core/http/exchange.ts";
import type { ClientOrigin } from "./client-origin.ts";
import { plain, type PlainReply } from "./error-reply.ts";
import type { HeadFields } from "./request-head.ts";
import type { RequestLine } from "./request-line.ts";
import { requestUrl } from "./request-url.ts";
import type { Route, RouteTable } from "./route-table.ts";

/** Where a request is to go: to an application, or nowhere because of what is wrong with it. */
export type RequestTarget =
  | { readonly route: Route; readonly options: Omit<ExchangeOptions, "body" | "webSocket"> }
  | { readonly reply: PlainReply };

/** Finds the application of a request, and what its replica is told of it. */
export function targetOf(
  { method, target }: RequestLine,
  { fields, origin }: { readonly fields: HeadFields; readonly origin: ClientOrigin },
  settings: { readonly routes: RouteTable; readonly requestTimeoutMs: number | undefined },
): RequestTarget {
  const queryAt = target.indexOf("?");
  const match = settings.routes.match(queryAt === -1 ? target : target.slice(0, queryAt));
  if (match === undefined)
    return { reply: plain(404, "There is no application at this path. GET /-/routes lists those there are.") };
  const { route, path } = match;
  const url = requestUrl(origin.scheme, origin.host, queryAt === -1 ? path : path + target.slice(queryAt));
  if (url === undefined) return { reply: plain(400, "The host or the target of the request is not valid in a URL.") };
  const { requestId, headers, sessionId, traceparent, multiplexedModelId } = fields;
  const { timeoutMs = settings.requestTimeoutMs } = fields;
  headers.push(
    ["x-forwarded-for", origin.forwardedFor],
    ["x-forwarded-proto", origin.scheme],
    ["x-forwarded-host", origin.host],
  );
  // What was taken off the path, so that a redirect can put it back; nothing is taken off for "/".
  const prefix = origin.prefix + (route.prefix === "/" ? "" : route.prefix);
  if (prefix !== "") headers.push(["x-forwarded-prefix", prefix]);
  return {
    route,
    options: {
      head: { method, url, headers },
      requestId,
      route: route.prefix,
      clientAddress: origin.address,
      ...(multiplexedModelId === undefined ? {} : { multiplexedModelId }),
      ...(sessionId === undefined ? {} : { sessionId }),
      ...(traceparent === undefined ? {} : { traceparent }),
      timeoutMs: timeoutMs === Infinity ? undefined : timeoutMs,
    },
  };
}
