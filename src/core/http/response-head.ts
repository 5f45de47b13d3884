import { HeliostatError } from "../errors.ts";
import type { HeaderFields, ResponseHead } from "./exchange.ts";

/** Whether a response has no body whatever it says: its client does not wait for one (RFC 9112, 6.3). */
export function isBodyless(method: string, status: number): boolean {
  return method === "HEAD" || status === 204 || status === 205 || status === 304;
}

/** Also a Response of another copy of the class, as libraries bring along. */
export function isResponse(value: unknown): value is Response {
  if (typeof value !== "object" || value === null) return false;
  if (value instanceof Response) return true;
  return (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === "Response";
}

/**
 * What a client is told of a response before its body.
 *
 * @throws {HeliostatError} if its status is none that answers a request.
 */
export function headOf(response: Response): ResponseHead {
  const { status, statusText, headers } = response;
  if (!Number.isInteger(status) || status < 200 || status > 599) throw wrongStatus(status);
  // Several Set-Cookie come one by one. A class of another's making need not have checked what it was given.
  const fields = headers instanceof Headers ? headers : new Headers([...headers]);
  return { status, statusText: String(statusText), headers: [...fields] };
}

/** The same head with the length of its body, whatever it said of it. */
export function withLength(head: ResponseHead, bytes: number): ResponseHead {
  const length = ["content-length", String(bytes)] as const;
  const headers: HeaderFields = [...head.headers.filter(([name]) => name !== "content-length"), length];
  return { ...head, headers };
}

function wrongStatus(status: unknown): HeliostatError {
  const what =
    status === 0 ? "Response.error(), which is no answer to a client" : `a Response with the status ${String(status)}`;
  return new HeliostatError(`The handler gave ${what}. Give a Response with a status from 200 to 599.`);
}
