import { RequestTimeoutError } from "../errors.ts";

/**
 * Why a request was ended early, as the platform tells it: what code sees that was written for any `AbortSignal`. The
 * error that the caller gets is its cause.
 */
export function abortReason(error: Error): DOMException {
  const name = error instanceof RequestTimeoutError ? "TimeoutError" : "AbortError";
  // Types know the older form of the second argument only.
  return new DOMException(error.message, { name, cause: error } as unknown as string);
}
