import { plain, type PlainReply } from "./error-reply.ts";
import type { HeadFields } from "./request-head.ts";

/** What the first line of a request asks for, and of whom. */
export interface RequestLine {
  readonly method: string;
  /** Path and query, as they came. */
  readonly target: string;
  readonly host: string;
}

/** Those that a web-standard request can have. */
const SERVED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const UNSERVED_METHODS: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK"]);
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;

/** Reads the first line of a request beside its Host header, by RFC 9112, 3.2; or says what is to be answered at once. */
export function readRequestLine(
  { method, url, httpVersion }: { readonly method: string; readonly url: string; readonly httpVersion: string },
  { host: named = "localhost", hosts }: Pick<HeadFields, "host" | "hosts">,
): RequestLine | { readonly reply: PlainReply } {
  if (hosts > 1 || (hosts === 0 && httpVersion === "1.1"))
    return wrong(hosts === 0 ? "A Host header is needed." : "There is more than one Host header.");
  if (UNSERVED_METHODS.has(method)) return { reply: notServed(method) };
  if (url.charCodeAt(0) === SLASH) return { method, target: withoutFragment(url), host: named };
  if (url === "*" && method === "OPTIONS")
    return { reply: { status: 200, text: "", headers: [["Allow", SERVED_METHODS]] } };
  // A request to a proxy names the host in its target, which then counts.
  const absolute = ABSOLUTE.exec(url);
  if (absolute === null) return wrong("The target of the request is neither a path nor a URL of HTTP.");
  const rest = url.slice(absolute[0].length);
  const target = rest.charCodeAt(0) === SLASH ? rest : `/${rest}`;
  return { method, target: withoutFragment(target), host: absolute[1]! };
}

/** A method that no application is asked for. */
export function notServed(method: string): PlainReply {
  return { status: 405, text: `${method} is not served.`, headers: [["Allow", SERVED_METHODS]] };
}

function wrong(text: string): { readonly reply: PlainReply } {
  return { reply: plain(400, text) };
}

function withoutFragment(target: string): string {
  const hash = target.indexOf("#");
  return hash === -1 ? target : target.slice(0, hash);
}

const SLASH = 47;
