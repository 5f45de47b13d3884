import type { Clock } from "../contracts/clock.ts";
import type { BodyEncoder } from "../contracts/replica-client.ts";
import { type Call, CallState } from "../handle/call.ts";
import { settleWithError } from "../handle/settle.ts";
import type { Chooser } from "./chooser.ts";
import { WaitingCalls } from "./queue.ts";
import { backPressure, type DeploymentName } from "./rejections.ts";
import type { ReplicaSet } from "./replica-set.ts";
import type { ReplicaSlot } from "./replica-slot.ts";

export interface DispatcherOptions {
  readonly name: DeploymentName;
  readonly replicas: ReplicaSet;
  readonly chooser: Chooser;
  readonly clock: Clock;
  readonly encoder: BodyEncoder;
  /** Why no call can be taken now; undefined if calls are. */
  rejection(): { readonly error: unknown } | undefined;
}

/** Gives calls to replicas, and keeps those that find no place until there is one. */
export class Dispatcher {
  /** -1: no limit. */
  maxQueuedRequests = -1;
  readonly #options: DispatcherOptions;
  readonly #replicas: ReplicaSet;
  readonly #chooser: Chooser;
  readonly #waiting = new WaitingCalls();
  #serving = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#replicas = options.replicas;
    this.#chooser = options.chooser;
  }

  /** How many calls wait. */
  get queued(): number {
    return this.#waiting.size;
  }

  submit(call: Call): void {
    if (this.#waiting.size === 0 && this.#replicas.free.length > 0 && this.#place(call)) return;
    this.#submitToWait(call);
  }

  /** Forgets a waiting call that has just been settled. */
  remove(call: Call): void {
    this.#waiting.remove(call);
  }

  /** A call that a replica had and did not run goes back to the place of its age. */
  routeAgain(call: Call): void {
    if (call.state === CallState.SETTLED) return;
    const rejection = this.#options.rejection();
    if (rejection !== undefined) settleWithError(call, rejection.error);
    else this.#wait(call);
  }

  /** Gives places to those that wait, as long as there are both. */
  serve(): void {
    if (this.#serving) return;
    this.#serving = true;
    let kept: Call[] | undefined;
    try {
      while (this.#waiting.size > 0 && this.#replicas.free.length > 0) {
        const call = this.#waiting.shift()!;
        if (this.#place(call)) continue;
        // Only a user's policy lets a call wait while there are places: those behind it must not wait for it.
        (kept ??= []).push(call);
      }
    } finally {
      if (kept !== undefined) for (const call of kept) this.routeAgain(call);
      this.#serving = false;
    }
  }

  /** The limit came after the calls: those that were made last are refused, as they would have been. */
  refuseExcess(): void {
    const limit = this.maxQueuedRequests;
    if (limit < 0 || this.#waiting.size <= limit) return;
    this.#waiting.drain().forEach((call, i) => {
      if (i < limit) this.#waiting.push(call);
      else settleWithError(call, backPressure(this.#options.name, limit, limit));
    });
  }

  rejectAll(makeError: () => unknown): void {
    for (const call of this.#waiting.drain()) settleWithError(call, makeError());
  }

  /** @returns false if the call has to wait; true: it was sent, or has failed. */
  #place(call: Call): boolean {
    for (;;) {
      if (call.state === CallState.SETTLED) return true;
      let slot: ReplicaSlot | undefined;
      try {
        slot = this.#chooser.choose(call);
      } catch (error) {
        settleWithError(call, error);
        return true;
      }
      if (slot === undefined) return false;
      // A user's policy may have made calls of its own while it was asked: its choice is then full.
      if (slot.freeIndex < 0) continue;
      if (this.#send(slot, call)) return true;
    }
  }

  /** @returns false if the slot's connection is closed: the call goes elsewhere. */
  #send(slot: ReplicaSlot, call: Call): boolean {
    // The place is taken first: encoding may run code of the user's, which may call in turn.
    this.#replicas.take(slot);
    call.slot = slot;
    call.state = CallState.SENT;
    let failure: { readonly error: unknown } | undefined;
    try {
      if (slot.client.send(call)) {
        // They are on their way, and come back if the replica refuses the call.
        if (!this.#chooser.asksUser) call.args = undefined;
        const { multiplexedModelId } = call.template;
        if (multiplexedModelId !== "") this.#replicas.models.expect(multiplexedModelId, slot);
        return true;
      }
    } catch (error) {
      failure = { error };
    }
    call.slot = undefined;
    this.#replicas.giveBack(slot);
    if (failure !== undefined) {
      settleWithError(call, failure.error);
      return true;
    }
    if (call.state === CallState.SENT) call.state = CallState.NEW;
    this.#replicas.lose(slot);
    return false;
  }

  #submitToWait(call: Call): void {
    if (call.state === CallState.SETTLED) return;
    const rejection = this.#options.rejection();
    if (rejection !== undefined) {
      settleWithError(call, rejection.error);
      return;
    }
    // Calls that a user's policy keeps waiting are no reason not to ask it about this one.
    if (this.#waiting.size > 0 && this.#chooser.asksUser && !this.#serving && this.#place(call)) return;
    const limit = this.maxQueuedRequests;
    if (limit >= 0 && this.#waiting.size >= limit) {
      settleWithError(call, backPressure(this.#options.name, this.#waiting.size, limit));
      return;
    }
    this.#wait(call);
  }

  #wait(call: Call): void {
    if (call.body === undefined) {
      try {
        call.body = this.#options.encoder.encode(call);
      } catch (error) {
        settleWithError(call, error);
        return;
      }
      // Encoding may have run code of the user's that ended the call.
      if (call.state === CallState.SETTLED) {
        call.body.leave?.(call);
        call.body = undefined;
        return;
      }
    }
    if (!this.#chooser.asksUser) call.args = undefined;
    call.waitingSinceMs ??= this.#options.clock.now();
    this.#waiting.push(call);
  }
}
