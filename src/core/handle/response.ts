import { ConfigError, RequestTimeoutError } from "../errors.ts";
import type { MethodTarget } from "./method-target.ts";
import { type CallSite, OutgoingCall } from "./outgoing-call.ts";

/** The longest time that timers take; longer is for ever. */
const MAX_TIMER_MS = 2_147_483_647;

type Settle = (value: unknown) => void;

let captured: Settle;
/** One executor for all: a closure per call would cost as much as the promise. */
const capture = (resolve: Settle): void => {
  captured = resolve;
};
const ignore = (): void => {};
const promiseThen = Promise.prototype.then;

/** The call behind a response. */
export class ResponseCall extends OutgoingCall {
  readonly #resolve: Settle;
  readonly response: CallResponse;

  constructor(target: MethodTarget, args: readonly unknown[], site: CallSite | undefined) {
    super(target, args, site);
    this.response = new CallResponse(capture);
    this.#resolve = captured;
    this.response.call = this;
  }

  resolve(value: unknown): void {
    this.release();
    this.#resolve(value);
  }

  reject(error: unknown): void {
    this.release();
    // A failure that nobody awaits must not end the process: marked as handled here, where it costs only failures.
    void promiseThen.call(this.response, undefined, ignore);
    const explained = this.explain(error);
    // Through a thenable, since the function that rejects is not kept: calls in flight are many, failures are few.
    this.#resolve({ then: (_: Settle, reject: Settle) => reject(explained) });
  }

  item(): void {}
}

/**
 * The promise that `.remote()` gives.
 *
 * It is a real promise, and its prototype's `constructor` is `Promise` itself: `await` then takes the engine's direct
 * way instead of going through `then`, and promises derived from it are plain ones.
 */
export class CallResponse extends Promise<unknown> {
  call!: ResponseCall;

  get requestId(): string {
    return this.call.requestId;
  }

  get cancelled(): boolean {
    return this.call.cancelled;
  }

  cancel(): void {
    this.call.cancel();
  }

  result(options: { timeoutMs?: number } = {}): Promise<unknown> {
    const { timeoutMs } = options;
    if (timeoutMs === undefined) return this.then();
    return waitAtMost(this, timeoutMs, this.call);
  }
}
void Object.defineProperty(CallResponse.prototype, "constructor", {
  value: Promise,
  writable: true,
  configurable: true,
});

/** Waits for `promise`, but only for so long; what it waits for goes on. */
export function waitAtMost<T>(
  promise: Promise<T>,
  timeoutMs: number,
  call: { readonly target: MethodTarget },
): Promise<T> {
  if (!(timeoutMs > 0)) {
    return Promise.reject(
      new ConfigError(`timeoutMs must be a number greater than 0, not ${String(timeoutMs)}.`, { path: "timeoutMs" }),
    );
  }
  const { caller, deployment, method } = call.target;
  return new Promise((resolve, reject) => {
    const timer = caller.clock.setTimer(Math.min(timeoutMs, MAX_TIMER_MS), () => {
      reject(
        new RequestTimeoutError(
          `No result from ${deployment}.${method} within ${timeoutMs} ms. The request goes on: ask for its result again, or cancel() it.`,
          { timeoutMs, stopped: false },
        ),
      );
    });
    promise.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        reject(error as Error);
      },
    );
  });
}
