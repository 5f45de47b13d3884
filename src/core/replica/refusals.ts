import { RequestTimeoutError, StreamMismatchError, UnknownMethodError } from "../errors.ts";
import type { IncomingCall } from "./incoming-call.ts";
import { callableMethods } from "./methods.ts";

/** The call came when its time was up. */
export function timedOutBefore(call: IncomingCall): RequestTimeoutError {
  return new RequestTimeoutError(
    `Request ${call.requestId} was not run: its ${call.timeoutMs} ms were over when ${call.method} was to begin. Give a longer timeoutMs, or more replicas.`,
    { timeoutMs: call.timeoutMs, stopped: true },
  );
}

/** The deployment has no such method. */
export function unknownMethod(target: object | Function, call: IncomingCall, deployment: string): UnknownMethodError {
  const available = callableMethods(target);
  const list = available.length === 0 ? "it has none" : `it has ${available.join(", ")}`;
  return new UnknownMethodError(`Deployment "${deployment}" has no method "${call.method}": ${list}.`, {
    method: call.method,
    available,
  });
}

/** A method that streams was called without `stream`. */
export function isAStream(call: IncomingCall, deployment: string): StreamMismatchError {
  return new StreamMismatchError(
    `${deployment}.${call.method} yields a stream: call it with handle.options({ stream: true }).${call.method}.remote(...) and iterate over what that gives.`,
    { method: call.method },
  );
}

/** A method that does not stream was called with `stream`. */
export function notAStream(call: IncomingCall, deployment: string): StreamMismatchError {
  return new StreamMismatchError(
    `${deployment}.${call.method} was called with stream: true, but it does not stream: it returned nothing to iterate. Call it without stream, or make it an async generator.`,
    { method: call.method },
  );
}
