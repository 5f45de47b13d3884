import type { ResponseHead } from "../core/http/exchange.ts";

/** What the connection to the client decides, not the application; and the id, of which there is one. */
const NOT_GIVEN_ON: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "keep-alive",
  "proxy-connection",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "x-request-id",
]);

/**
 * The header fields of a response, name and value in turn as node:http takes them.
 *
 * How the message is framed is decided here. Where the body is known as a whole its length is told; what the application
 * says of it counts only where there is nothing to be compared with, and only if it is a length.
 */
export function responseFields(
  { status, headers }: ResponseHead,
  { method, bodyBytes }: { readonly method: string; readonly bodyBytes: number | undefined },
): string[] {
  const fields: string[] = [];
  let told: string | undefined;
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower === "content-length") told = told === undefined || told === value ? value : "";
    if (!NOT_GIVEN_ON.has(lower)) fields.push(name, value);
  }
  // RFC 9110, 8.6: none with 204; in 205 and 304 it would tell of what is not there.
  if (status === 204 || status === 205 || status === 304) return fields;
  const length = bodyBytes === undefined || method === "HEAD" ? lengthOf(told) : String(bodyBytes);
  // Last: what node:http knows of it changes how it writes those that follow.
  if (length !== undefined) fields.push("Content-Length", length);
  return fields;
}

function lengthOf(told: string | undefined): string | undefined {
  return told !== undefined && /^\d{1,15}$/.test(told) ? told : undefined;
}
