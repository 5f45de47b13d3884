import { ConfigError } from "../errors.ts";
import type { Broadcast } from "../router/broadcast.ts";
import { Call, CallState } from "./call.ts";
import type { MethodTarget } from "./method-target.ts";
import { type CallSite, OutgoingCall } from "./outgoing-call.ts";
import { waitAtMost } from "./response.ts";

type Settle = (value: unknown) => void;

/** The call to one replica. */
class BroadcastCall extends Call {
  readonly outcome: Promise<unknown>;
  readonly #whole: BroadcastOutgoing;
  readonly #resolve: Settle;
  readonly #reject: Settle;

  constructor(whole: BroadcastOutgoing) {
    super(whole.target, [], whole.sequence, whole.terms);
    this.#whole = whole;
    this.body = whole.body;
    this.body?.join?.(this);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.outcome = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    promise.catch(() => {});
  }

  resolve(value: unknown): void {
    this.#resolve(value);
  }

  reject(error: unknown): void {
    this.#reject(this.#whole.failureOf(error));
  }

  item(): void {}
}

/** A broadcast as its caller's side sees it: one deadline, one signal, one encoding of the arguments for all replicas. */
class BroadcastOutgoing extends OutgoingCall {
  readonly results: Promise<readonly Promise<unknown>[]>;
  readonly #start: (outcomes: readonly Promise<unknown>[] | Promise<readonly Promise<unknown>[]>) => void;
  readonly #fail: Settle;
  #broadcast: Broadcast | undefined = undefined;

  constructor(target: MethodTarget, args: readonly unknown[], site: CallSite | undefined) {
    super(target, args, site);
    const { promise, resolve, reject } = Promise.withResolvers<readonly Promise<unknown>[]>();
    promise.catch(() => {});
    this.results = promise;
    this.#start = resolve;
    this.#fail = reject;
  }

  /** Its arguments are known: goes to every replica. */
  send(): void {
    const { target } = this;
    try {
      this.body = target.caller.encode(this);
    } catch (error) {
      this.#end(error);
      return;
    }
    this.#broadcast = target.router.broadcast(() => new BroadcastCall(this));
    this.#broadcast.calls.then(
      (calls) => {
        this.body?.leave?.(this);
        const outcomes = calls.map((call) => (call as BroadcastCall).outcome);
        this.#start(outcomes);
        void Promise.allSettled(outcomes).then(() => this.resolve());
      },
      (error: unknown) => this.#end(error),
    );
  }

  failureOf(error: unknown): unknown {
    return this.explain(error);
  }

  override endWith(error: Error): void {
    if (this.state === CallState.SETTLED) return;
    if (this.#broadcast === undefined) this.#end(error);
    else this.#broadcast.abandon(error);
  }

  resolve(): void {
    if (this.state === CallState.SETTLED) return;
    this.state = CallState.SETTLED;
    this.release();
  }

  reject(error: unknown): void {
    this.release();
    this.#fail(this.explain(error));
  }

  item(): void {}

  #end(error: unknown): void {
    this.body?.leave?.(this);
    if (this.state === CallState.SETTLED) return;
    this.state = CallState.SETTLED;
    this.reject(error);
  }
}

/** What `.broadcast()` gives: the results of one call to every replica that runs, in the order of their start. */
export class BroadcastResponse extends Promise<unknown[]> {
  broadcast!: BroadcastOutgoing;

  results(options: { timeoutMs?: number; returnExceptions?: boolean } = {}): Promise<unknown[]> {
    const { timeoutMs, returnExceptions = false } = options;
    if (typeof returnExceptions !== "boolean") {
      return Promise.reject(
        new ConfigError(`returnExceptions must be true or false, not ${String(returnExceptions)}.`, {
          path: "returnExceptions",
        }),
      );
    }
    const results = returnExceptions ? this.broadcast.results.then(exceptionsToo) : this.then();
    return timeoutMs === undefined ? results : waitAtMost(results, timeoutMs, this.broadcast);
  }

  cancel(): void {
    this.broadcast.cancel();
  }
}
void Object.defineProperty(BroadcastResponse.prototype, "constructor", {
  value: Promise,
  writable: true,
  configurable: true,
});

/** Calls a method on every replica. Never throws. */
export function broadcast(
  target: MethodTarget,
  args: readonly unknown[],
  site: CallSite | undefined,
): BroadcastResponse {
  const { caller } = target;
  const outgoing = new BroadcastOutgoing(target, args, site);
  const response = new BroadcastResponse((resolve) =>
    resolve(outgoing.results.then((outcomes) => Promise.all(outcomes))),
  );
  response.broadcast = outgoing;
  response.catch(() => {});
  if (outgoing.attach()) caller.whenResolved(outgoing, () => outgoing.send());
  return response;
}

async function exceptionsToo(outcomes: readonly Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(outcomes);
  return settled.map((outcome) => {
    if (outcome.status === "fulfilled") return outcome.value;
    return outcome.reason instanceof Error
      ? outcome.reason
      : new Error("A replica threw what is no Error.", { cause: outcome.reason });
  });
}
