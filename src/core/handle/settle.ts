import { type Call, CallState } from "./call.ts";

/**
 * Ends a call with an error, unless it has an outcome already.
 *
 * Its arguments are let go at once: a cancelled call may stay in a table or a line a little longer.
 *
 * @returns whether this error became the outcome.
 */
export function settleWithError(call: Call, error: unknown): boolean {
  if (call.state === CallState.SETTLED) return false;
  call.state = CallState.SETTLED;
  call.args = undefined;
  call.body?.leave?.(call);
  call.body = undefined;
  call.reject(error);
  return true;
}
