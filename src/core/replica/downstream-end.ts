import { RequestCancelledError, RequestTimeoutError } from "../errors.ts";

/** The error for a call that was made for a request which ended early: each gets its own, since a stack is added to it. */
export function downstreamEnd(error: Error): Error {
  if (error instanceof RequestTimeoutError) {
    return new RequestTimeoutError(error.message, { timeoutMs: error.timeoutMs, stopped: true });
  }
  if (error instanceof RequestCancelledError) {
    return new RequestCancelledError(error.message, {
      requestId: error.requestId,
      ...("cause" in error ? { cause: error.cause } : {}),
    });
  }
  return error;
}
