import type { ServerResponse } from "node:http";
import type { PlainReply } from "./error-reply.ts";

const TEXT = "text/plain; charset=utf-8";

/** Answers with text of the proxy's own. The connection closes if what is left of the request is not to be read. */
export function sendReply(
  response: ServerResponse,
  { status, text, headers }: PlainReply,
  { requestId, closes = false }: { readonly requestId: string; readonly closes?: boolean },
): void {
  const isTyped = headers.some(([name]) => name === "Content-Type");
  response.writeHead(status, [
    ...headers.flat(),
    ...(closes ? ["Connection", "close"] : []),
    ...(isTyped ? [] : ["Content-Type", TEXT]),
    "Content-Length",
    String(Buffer.byteLength(text)),
    "X-Request-ID",
    requestId,
  ]);
  response.end(text);
}
