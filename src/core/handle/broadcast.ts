import { ConfigError } from "../errors.ts";
import type { Broadcast } from "../router/broadcast.ts";
import { Call, type CallFields, CallState } from "./call.ts";
import type { MethodTarget } from "./method-target.ts";
import { type CallSite, OutgoingCall } from "./outgoing-call.ts";
import { waitAtMost } from "./response.ts";

type Settle = (value: unknown) => void;

/** The call to one replica. */
class BroadcastCall extends Call {
  readonly outcome: Promise<unknown>;

  constructor(whole: BroadcastOutgoing, fields: CallFields) {
    let resolve!: Settle;
    let reject!: Settle;
    super(
      whole.target,
      { resolve: (value) => resolve(value), reject: (error) => reject(whole.failureOf(error)), item: () => {} },
      fields,
    );
    this.outcome = new Promise((onResult, onError) => {
      resolve = onResult;
      reject = onError;
    });
    this.outcome.catch(() => {});
  }
}

/** A broadcast as its caller's side sees it: one deadline, one signal, one encoding of the arguments for all replicas. */
class BroadcastOutgoing extends OutgoingCall {
  readonly results: Promise<readonly Promise<unknown>[]>;
  readonly #start: (outcomes: readonly Promise<unknown>[] | Promise<readonly Promise<unknown>[]>) => void;
  readonly #fail: Settle;
  #broadcast: Broadcast | undefined = undefined;

  constructor(target: MethodTarget, fields: CallFields, site: CallSite | undefined) {
    super(target, fields, site);
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
    const { parent, sequence, priority, deadlineMs, timeoutMs } = this;
    this.#broadcast = target.router.broadcast(() => {
      const call = new BroadcastCall(this, { args: [], parent, sequence, priority, deadlineMs, timeoutMs });
      call.body = this.body;
      call.body?.join?.(call);
      return call;
    });
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
  const outgoing = new BroadcastOutgoing(target, caller.fields(target, args), site);
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
