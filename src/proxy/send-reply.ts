import { STATUS_CODES, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { PlainReply } from "./error-reply.ts";

const TEXT = "text/plain; charset=utf-8";

/** Answers with text of the proxy's own. The connection closes if what is left of the request is not to be read. */
export function sendReply(
  response: ServerResponse,
  { status, text, headers }: PlainReply,
  about: { readonly requestId: string; readonly closes?: boolean; readonly contentType?: string | undefined },
): void {
  const { requestId, closes = false, contentType = TEXT } = about;
  response.writeHead(status, [
    ...headers.flat(),
    ...(closes ? ["Connection", "close"] : []),
    "Content-Type",
    contentType,
    "Content-Length",
    String(Buffer.byteLength(text)),
    "X-Request-ID",
    requestId,
  ]);
  response.end(text);
}

/** The same on a connection that is no longer in HTTP's hands, which is closed. */
export function sendRawReply(socket: Duplex, { status, text, headers }: PlainReply, requestId: string): void {
  const body = Buffer.from(text);
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    "Connection: close",
    `Content-Type: ${TEXT}`,
    `Content-Length: ${body.byteLength}`,
    `X-Request-ID: ${requestId}`,
    "",
    "",
  ];
  socket.end(Buffer.concat([Buffer.from(lines.join("\r\n"), "latin1"), body]));
}
