import type { ResponseHead } from "../core/http/exchange.ts";

/** What the connection to the client decides, not the application; and the id, of which there is one. */
const NOT_GIVEN_ON: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "x-request-id",
]);

/**
 * The header fields of a response, name and value in turn as node:http takes them.
 *
 * Where the body is known as a whole its length is told; what the application says of it counts only where there is no
 * body to be compared with.
 */
export function responseFields(
  { status, headers }: ResponseHead,
  { method, bodyBytes }: { readonly method: string; readonly bodyBytes: number | undefined },
): string[] {
  const isBodyless = method === "HEAD" || status === 304;
  const tellsLength = bodyBytes !== undefined && !isBodyless && status !== 204;
  const fields: string[] = [];
  for (const [name, value] of headers) {
    // Names of a Response are lower case.
    if (NOT_GIVEN_ON.has(name) || (tellsLength && name === "content-length")) continue;
    fields.push(name, value);
  }
  if (tellsLength) fields.push("Content-Length", String(bodyBytes));
  return fields;
}
