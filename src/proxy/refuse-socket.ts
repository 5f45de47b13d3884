import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock, Timer } from "../core/contracts/clock.ts";
import type { PlainReply } from "./error-reply.ts";

/** How long a client may take to notice its answer, or to read more of it, before its connection is closed all the same. */
const LINGER_MS = 2_000;

export interface RawReply extends Omit<PlainReply, "text"> {
  readonly text: string | Uint8Array;
}

/**
 * Answers on a connection that is in nobody's hands any more (after CONNECT, a refused upgrade, or bytes that are no HTTP)
 * and ends it. Nothing that still comes is looked at.
 */
export function refuseSocket(
  socket: Duplex,
  { status, text, headers }: RawReply,
  about: { readonly requestId: string; readonly clock: Clock; readonly isHead?: boolean },
): void {
  const body = about.isHead === true ? Buffer.alloc(0) : Buffer.from(text as string);
  const has = (name: string): boolean => headers.some(([given]) => given.toLowerCase() === name);
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    `Date: ${new Date(about.clock.wallNow()).toUTCString()}`,
    "Connection: close",
    ...(has("content-type") ? [] : ["Content-Type: text/plain; charset=utf-8"]),
    `Content-Length: ${Buffer.byteLength(text as string)}`,
    `X-Request-ID: ${about.requestId}`,
    "",
    "",
  ];
  if (socket.writable) socket.write(Buffer.concat([Buffer.from(lines.join("\r\n"), "latin1"), body]));
  endSlowly(socket, about.clock);
}

/**
 * Ends a connection whose client may still be sending.
 *
 * One that is closed with something unread in it is reset, and the reset may overtake the answer, so it is read on, for a
 * while, and what comes is dropped (RFC 9112, 9.6).
 */
export function endSlowly(socket: Duplex, clock: Clock): void {
  if (socket.destroyed) return;
  socket.on("error", () => {});
  socket.end();
  if (socket.readableEnded) {
    socket.destroy();
    return;
  }
  destroyWhenStuck(socket, clock);
  socket.once("end", () => socket.destroy());
  socket.resume();
}

/** Closes a connection that is ending for good as soon as its client takes nothing more. */
export function destroyWhenStuck(socket: Duplex, clock: Clock): void {
  let left = socket.writableLength;
  const wait = (): Timer =>
    clock.setTimer(LINGER_MS, () => {
      if (socket.writableLength === 0 || socket.writableLength === left) socket.destroy();
      else {
        left = socket.writableLength;
        timer = wait();
      }
    });
  let timer = wait();
  socket.once("close", () => timer.cancel());
}
