import type { Router } from "../router/router.ts";
import type { CallTemplate } from "./call.ts";
import type { Caller } from "./caller.ts";

/** What calls through one handle's method share: the template that travels, and what stays with the caller. */
export interface MethodTarget extends CallTemplate {
  readonly caller: Caller;
  readonly router: Router;
  /** undefined: that of the request during which the call is made, else 0. */
  readonly priority: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}
