import type { Timer } from "../contracts/clock.ts";
import type { RefusalReason, ReplicaClient, ReplicaClientListener } from "../contracts/replica-client.ts";
import type { Call } from "../handle/call.ts";
import type { ReplicaTarget } from "./snapshot.ts";

/** A call whose connection broke, and whether any of it can have left. */
export interface LostCall {
  readonly call: Call;
  readonly written: boolean;
}

/** What a slot tells the router, after it has noted it itself. */
export interface SlotOwner {
  /** The replica has ended a call, or has reported: there may be room. */
  onRoom(slot: ReplicaSlot): void;
  onRefused(slot: ReplicaSlot, call: Call): void;
  onDraining(slot: ReplicaSlot): void;
  onLost(slot: ReplicaSlot, error: Error, lost: readonly LostCall[]): void;
}

/**
 * One connection to one replica, and what this caller knows of the places there.
 *
 * It has one life: when the connection is lost, another slot takes its place, and what comes late for the old one
 * cannot be mistaken. Plain fields, because a pick and a reply touch nothing else.
 */
export class ReplicaSlot implements ReplicaClientListener {
  readonly #owner: SlotOwner;
  target: ReplicaTarget;
  /** Set by whoever makes the slot: the client needs the slot first. */
  client!: ReplicaClient;
  /** Calls of this caller there, exactly. */
  own = 0;
  /** Broadcasts of this caller there: they take no place. */
  broadcasts = 0;
  /** Calls of other callers there, as last reported. Only for preference: the replica's own count decides. */
  others = 0;
  /** It refused as full, and has not said yet that there is room. */
  blocked = false;
  /** `closed`: this caller has hung up; `lost`: the connection broke. */
  phase: "open" | "draining" | "closed" | "lost" = "open";
  /** No longer among the deployment's replicas: it ends with its last call. */
  left = false;
  /** Where it is in the list of slots with a free place; -1 if it is not. */
  freeIndex = -1;
  /** Where it is in the order of start. */
  index = 0;
  /** Models that it announced, then models that it was sent; kept by `ModelPlaces`. */
  readonly modelIds = new Set<string>();
  announcedModels = 0;
  connectedAtMs = 0;
  /** How long to wait before the next connection, should this one be lost. */
  retryMs: number;
  reconnect: Timer | undefined = undefined;

  constructor(target: ReplicaTarget, owner: SlotOwner, retryMs: number) {
    this.target = target;
    this.#owner = owner;
    this.retryMs = retryMs;
  }

  /** Whether none of this caller's calls is there. */
  get idle(): boolean {
    return this.own === 0 && this.broadcasts === 0;
  }

  onFinished(call: Call, othersOngoing: number): void {
    this.#release(call);
    // It will not be sent again; a response that is kept for long must not keep its arguments.
    call.args = undefined;
    call.body = undefined;
    this.others = othersOngoing;
    this.#owner.onRoom(this);
  }

  onRefused(call: Call, reason: RefusalReason, othersOngoing: number): void {
    this.#release(call);
    this.others = othersOngoing;
    if (reason === "full") this.blocked = true;
    else this.#drain();
    this.#owner.onRefused(this, call);
  }

  onFree(othersOngoing: number): void {
    this.others = othersOngoing;
    this.blocked = false;
    this.#owner.onRoom(this);
  }

  onDraining(): void {
    this.#drain();
    this.#owner.onDraining(this);
  }

  onLost(error: Error, lost: readonly LostCall[]): void {
    for (const { call } of lost) this.#release(call);
    this.#owner.onLost(this, error, lost);
  }

  #drain(): void {
    if (this.phase === "open") this.phase = "draining";
  }

  #release(call: Call): void {
    call.slot = undefined;
    if (call.template.broadcast) this.broadcasts--;
    else this.own--;
  }
}

/** Whether a slot is one of the candidates: all of them have a free place, and in the list of all of those it is found by its index. */
export function isAmong(slot: ReplicaSlot, candidates: readonly ReplicaSlot[]): boolean {
  if (slot.freeIndex < 0) return false;
  return candidates[slot.freeIndex] === slot || candidates.includes(slot);
}
