import { type Call, CallState } from "../handle/call.ts";
import { settleWithError } from "../handle/settle.ts";
import { type DeploymentName, replicaDied } from "./rejections.ts";
import type { ReplicaSet } from "./replica-set.ts";
import type { ReplicaSlot } from "./replica-slot.ts";
import type { ReplicaTarget } from "./snapshot.ts";

/** Makes the call for one replica; its template says `broadcast`. */
export type MakeCall = (replica: ReplicaTarget) => Call;

/** A broadcast that was asked for: sent, or waiting for replicas to exist. */
export interface Broadcast {
  /** The calls in the order of the replicas' start, once they were sent; rejects if they never will be. */
  readonly calls: Promise<readonly Call[]>;
  /** Ends the waiting, or each call that has no outcome. Idempotent. */
  abandon(error: unknown): void;
}

export interface BroadcastsOptions {
  readonly name: DeploymentName;
  readonly replicas: ReplicaSet;
  abandon(call: Call, error: unknown): void;
}

/** The broadcasts of one router: each is sent to every replica there is, or waits until there are some. */
export class Broadcasts {
  readonly #options: BroadcastsOptions;
  readonly #waiting = new Set<WaitingBroadcast>();

  constructor(options: BroadcastsOptions) {
    this.#options = options;
  }

  /** How many wait for replicas. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** @param rejection why nothing can be sent, if so. */
  start(make: MakeCall, rejection?: { readonly error: unknown }): Broadcast {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Call[]>();
    // A broadcast that nobody awaits must not end the process when it fails.
    promise.catch(() => {});
    let sent: readonly Call[] = [];
    const broadcast: WaitingBroadcast = {
      make,
      reject,
      resolve: (calls) => {
        sent = calls;
        resolve(calls);
      },
    };
    if (rejection === undefined) {
      this.#waiting.add(broadcast);
      this.#trySend(broadcast);
    } else {
      reject(rejection.error);
    }
    return {
      calls: promise,
      abandon: (error) => {
        if (this.#waiting.delete(broadcast)) reject(error);
        else for (const call of sent) this.#options.abandon(call, error);
      },
    };
  }

  /** There may be replicas now. */
  retry(): void {
    for (const broadcast of this.#waiting) this.#trySend(broadcast);
  }

  rejectAll(makeError: () => unknown): void {
    for (const broadcast of this.#waiting) {
      this.#waiting.delete(broadcast);
      broadcast.reject(makeError());
    }
  }

  #trySend(broadcast: WaitingBroadcast): void {
    const { replicas } = this.#options;
    const running = replicas.slots.filter((slot) => slot.phase === "open" || slot.phase === "lost");
    if (running.length === 0) return;
    this.#waiting.delete(broadcast);
    let calls: readonly Call[];
    try {
      calls = running.map((slot) => broadcast.make(slot.target));
    } catch (error) {
      broadcast.reject(error);
      return;
    }
    // One that cannot be reached now is tried at once: its next turn to connect may be seconds away.
    running.forEach((slot, i) => this.#send(slot.phase === "lost" ? replicas.connectAgain(slot) : slot, calls[i]!));
    broadcast.resolve(calls);
  }

  #send(slot: ReplicaSlot, call: Call): void {
    if (call.state === CallState.SETTLED) return;
    const { name, replicas } = this.#options;
    call.slot = slot;
    call.state = CallState.SENT;
    slot.broadcasts++;
    let failure: unknown;
    try {
      if (slot.client.send(call)) return;
      failure = replicaDied(name, slot.target.replicaId, "its connection is closed");
      replicas.lose(slot);
    } catch (error) {
      failure = error;
    }
    slot.broadcasts--;
    call.slot = undefined;
    settleWithError(call, failure);
  }
}

interface WaitingBroadcast {
  readonly make: MakeCall;
  resolve(calls: readonly Call[]): void;
  reject(error: unknown): void;
}
