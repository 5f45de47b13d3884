import type { ExchangeOptions } from "../core/http/exchange.ts";
import { plain, type PlainReply } from "./error-reply.ts";
import { type HeadFields, isHost } from "./request-head.ts";
import type { Route, RouteTable } from "./route-table.ts";

/** Methods that a web-standard request cannot have. */
const FORBIDDEN_METHODS: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK"]);
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;

/** Where a request is to go: to an application, or nowhere because of what is wrong with it. */
export type RequestTarget =
  | { readonly route: Route; readonly options: Omit<ExchangeOptions, "body" | "webSocket"> }
  | { readonly reply: PlainReply };

/** Finds the application of a request, and what its replica is told of it. */
export function targetOf(
  request: { readonly method: string; readonly url: string },
  fields: HeadFields,
  settings: {
    readonly routes: RouteTable;
    readonly scheme: "http" | "https";
    readonly requestTimeoutMs: number | undefined;
  },
): RequestTarget {
  const { method } = request;
  let { url } = request;
  let { host = "localhost" } = fields;
  if (FORBIDDEN_METHODS.has(method)) return { reply: plain(405, `${method} is not served.`) };
  const absolute = url.charCodeAt(0) === SLASH ? null : ABSOLUTE.exec(url);
  if (absolute !== null) {
    // A request to a proxy names the host in its target, which then counts.
    host = absolute[1]!;
    url = url.slice(absolute[0].length);
    if (url.charCodeAt(0) !== SLASH) url = `/${url}`;
  }
  if (!isHost(host)) return { reply: plain(400, "The Host header is not the name of a host.") };
  const hash = url.indexOf("#");
  if (hash !== -1) url = url.slice(0, hash);
  const queryAt = url.indexOf("?");
  const match = settings.routes.match(queryAt === -1 ? url : url.slice(0, queryAt));
  if (match === undefined)
    return { reply: plain(404, "There is no application at this path. GET /-/routes lists those there are.") };
  const {
    requestId,
    headers,
    sessionId,
    traceparent,
    multiplexedModelId,
    timeoutMs = settings.requestTimeoutMs,
  } = fields;
  const target = `${settings.scheme}://${host}${match.path}${queryAt === -1 ? "" : url.slice(queryAt)}`;
  if (!URL.canParse(target)) return { reply: plain(400, "The target of the request is no URL.") };
  return {
    route: match.route,
    options: {
      head: { method, url: target, headers },
      requestId,
      route: match.route.prefix,
      ...(multiplexedModelId === undefined ? {} : { multiplexedModelId }),
      ...(sessionId === undefined ? {} : { sessionId }),
      ...(traceparent === undefined ? {} : { traceparent }),
      timeoutMs: timeoutMs === Infinity ? undefined : timeoutMs,
    },
  };
}

const SLASH = 47;
