import type { Clock } from "../contracts/clock.ts";
import type { Log } from "../contracts/log.ts";
import type { BodyEncoder, ConnectReplica } from "../contracts/replica-client.ts";
import { type Call, CallState } from "../handle/call.ts";
import { settleWithError } from "../handle/settle.ts";
import { type Broadcast, Broadcasts, type MakeCall } from "./broadcast.ts";
import { Chooser } from "./chooser.ts";
import type { RouterPolicy } from "./policy.ts";
import { WaitingCalls } from "./queue.ts";
import { backPressure, replicaDied, replicaStopping, unavailable } from "./rejections.ts";
import { ReplicaSet } from "./replica-set.ts";
import type { LostCall, ReplicaSlot, SlotOwner } from "./replica-slot.ts";
import type { CodeReference, DeploymentSnapshot } from "./snapshot.ts";

export interface RouterOptions {
  readonly app: string;
  readonly deployment: string;
  readonly clock: Clock;
  readonly connect: ConnectReplica;
  readonly encoder: BodyEncoder;
  readonly nodeId: string;
  readonly log: Log;
  resolvePolicy(reference: CodeReference): RouterPolicy | undefined;
}

/** What a router has at one moment. */
export interface RouterStats {
  /** Calls that wait for a place, and broadcasts that wait for replicas. */
  readonly queued: number;
  /** Calls at replicas, also cancelled ones whose work has not ended. */
  readonly ongoing: number;
  readonly replicas: readonly { readonly replicaId: string; readonly ongoing: number; readonly others: number; readonly phase: ReplicaSlot["phase"] | "leaving" }[];
}

/**
 * Routes one process's calls to one deployment: picks a replica with a free place, or keeps the call until there is one.
 *
 * Guarantees: a call that `submit` took is settled exactly once, or is at a replica. What a replica may have begun to
 * run is never sent to another. Nothing is polled: each event that can free a place serves the waiting line at once.
 */
export class Router implements SlotOwner {
  readonly #options: RouterOptions;
  readonly #replicas: ReplicaSet;
  readonly #chooser: Chooser;
  readonly #waiting = new WaitingCalls();
  readonly #broadcasts: Broadcasts;
  #snapshot: DeploymentSnapshot | undefined = undefined;
  #serving = false;
  #closedBy: { readonly error: unknown } | undefined = undefined;

  constructor(options: RouterOptions) {
    this.#options = options;
    const { clock, connect, log } = options;
    this.#replicas = new ReplicaSet({ clock, connect, log, owner: this });
    this.#chooser = new Chooser(this.#replicas, options);
    this.#broadcasts = new Broadcasts({ name: options, replicas: this.#replicas, abandon: (call, error) => this.abandon(call, error) });
  }

  /** Takes over a newer snapshot; an older one is ignored. */
  update(snapshot: DeploymentSnapshot): void {
    const previous = this.#snapshot;
    if (this.#closedBy !== undefined || (previous !== undefined && snapshot.version <= previous.version)) return;
    this.#snapshot = snapshot;
    const takesRequests = unavailable(snapshot) === undefined;
    this.#chooser.follow(snapshot);
    this.#replicas.update(takesRequests ? snapshot.replicas : [], snapshot.maxOngoingRequests);
    if (!takesRequests) {
      this.#rejectAll(() => unavailable(this.#snapshot));
      return;
    }
    this.#broadcasts.retry();
    this.#serve();
    if (previous === undefined) this.#refuseExcess(snapshot.maxQueuedRequests);
  }

  /** Sends the call, or lets it wait. Never throws: what goes wrong becomes the call's error. */
  submit(call: Call): void {
    if (this.#waiting.size === 0 && this.#replicas.free.length > 0 && this.#place(call)) return;
    this.#submitToWait(call);
  }

  /** Ends a call with an error unless it has an outcome. At a replica its place stays taken until the work there ends. */
  abandon(call: Call, error: unknown): void {
    const { state } = call;
    if (!settleWithError(call, error)) return;
    if (state === CallState.QUEUED) this.#waiting.remove(call);
    else if (state === CallState.SENT) slotOf(call)?.client.cancel(call, error);
  }

  /** Allows the replica of a streaming call to send more. */
  grant(call: Call, items: number, bytes: number): void {
    slotOf(call)?.client.grant(call, items, bytes);
  }

  /** Calls every replica once, beside all limits; waits for replicas to exist. */
  broadcast(make: MakeCall): Broadcast {
    const broadcast = this.#broadcasts.start(make, this.#rejection());
    // It may have connected anew to a replica.
    this.#serve();
    return broadcast;
  }

  stats(): RouterStats {
    const replicas = [...this.#replicas.all()].map((slot) => ({
      replicaId: slot.target.replicaId,
      ongoing: slot.own + slot.broadcasts,
      others: slot.others,
      phase: slot.left ? ("leaving" as const) : slot.phase,
    }));
    const ongoing = replicas.reduce((sum, replica) => sum + replica.ongoing, 0);
    return { queued: this.#waiting.size + this.#broadcasts.waiting, ongoing, replicas };
  }

  /** Ends everything with `error` and closes the connections; so ends every later call. Idempotent. */
  close(error: unknown): void {
    if (this.#closedBy !== undefined) return;
    this.#closedBy = { error };
    this.#rejectAll(() => error);
    this.#replicas.close();
  }

  /** Part of `SlotOwner`. */
  onRoom(slot: ReplicaSlot): void {
    if (slot.freeIndex < 0) this.#replicas.noteReport(slot);
    if (this.#waiting.size > 0) this.#serve();
  }

  /** Part of `SlotOwner`. */
  onRefused(slot: ReplicaSlot, call: Call): void {
    // Not `noteReport`: right after a refusal the replica is full, whatever a limit that has just changed lets one think.
    if (slot.left || slot.phase === "draining") this.#replicas.noteReport(slot);
    else this.#replicas.refresh(slot);
    if (call.template.broadcast) settleWithError(call, replicaStopping(this.#options, slot.target.replicaId));
    else this.#routeAgain(call);
    this.#serve();
  }

  /** Part of `SlotOwner`. */
  onDraining(slot: ReplicaSlot): void {
    this.#replicas.noteReport(slot);
  }

  /** Part of `SlotOwner`. */
  onLost(slot: ReplicaSlot, error: Error, lost: readonly LostCall[]): void {
    const { replicaId } = slot.target;
    if (lost.length > 0 && this.#closedBy === undefined) this.#options.log.warn(`The connection to replica ${replicaId} broke: ${error.message}`, { openRequests: lost.length });
    this.#replicas.lose(slot);
    for (const { call, written } of lost) {
      if (call.state === CallState.SETTLED) continue;
      if (this.#closedBy !== undefined) settleWithError(call, this.#closedBy.error);
      else if (written || call.template.broadcast) settleWithError(call, replicaDied(this.#options, replicaId, error));
      else this.#routeAgain(call);
    }
    this.#serve();
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
    const rejection = this.#rejection();
    if (rejection !== undefined) {
      settleWithError(call, rejection.error);
      return;
    }
    // Calls that a user's policy keeps waiting are no reason not to ask it about this one.
    if (this.#waiting.size > 0 && this.#chooser.asksUser && !this.#serving && this.#place(call)) return;
    const limit = this.#snapshot?.maxQueuedRequests ?? -1;
    if (limit >= 0 && this.#waiting.size >= limit) {
      settleWithError(call, backPressure(this.#options, this.#waiting.size, limit));
      return;
    }
    this.#wait(call);
  }

  /** A call that a replica had and did not run goes back to the place of its age. */
  #routeAgain(call: Call): void {
    if (call.state === CallState.SETTLED) return;
    const rejection = this.#rejection();
    if (rejection !== undefined) settleWithError(call, rejection.error);
    else this.#wait(call);
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
        call.body = undefined;
        return;
      }
    }
    if (!this.#chooser.asksUser) call.args = undefined;
    if (call.waitingSinceMs === 0) call.waitingSinceMs = this.#options.clock.now();
    this.#waiting.push(call);
  }

  #serve(): void {
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
      if (kept !== undefined) for (const call of kept) this.#routeAgain(call);
      this.#serving = false;
    }
  }

  /** The limit came after the calls: those that were made last are refused, as they would have been. */
  #refuseExcess(limit: number): void {
    if (limit < 0 || this.#waiting.size <= limit) return;
    this.#waiting.drain().forEach((call, i) => {
      if (i < limit) this.#waiting.push(call);
      else settleWithError(call, backPressure(this.#options, limit, limit));
    });
  }

  #rejectAll(makeError: () => unknown): void {
    for (const call of this.#waiting.drain()) settleWithError(call, makeError());
    this.#broadcasts.rejectAll(makeError);
  }

  /** Why no call can be taken now; undefined if calls are. */
  #rejection(): { readonly error: unknown } | undefined {
    if (this.#closedBy !== undefined) return this.#closedBy;
    const error = unavailable(this.#snapshot);
    return error === undefined ? undefined : { error };
  }
}

function slotOf(call: Call): ReplicaSlot | undefined {
  return call.slot as ReplicaSlot | undefined;
}
