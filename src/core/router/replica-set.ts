import type { Clock } from "../contracts/clock.ts";
import type { Log } from "../contracts/log.ts";
import type { ConnectReplica, ReplicaClient } from "../contracts/replica-client.ts";
import { HashRing } from "./hash-ring.ts";
import { ModelPlaces } from "./model-places.ts";
import { ReplicaSlot, type SlotOwner } from "./replica-slot.ts";
import type { ReplicaTarget } from "./snapshot.ts";

export interface ReplicaSetOptions {
  readonly clock: Clock;
  readonly connect: ConnectReplica;
  readonly log: Log;
  readonly owner: SlotOwner;
}

const FIRST_RETRY_MS = 100;
/** Retries back off to this; a connection that lasted as long counts as a good one. */
const LAST_RETRY_MS = 2_000;

/**
 * The replicas of a deployment and the connections to them.
 *
 * `free` holds the slots with a free place and is kept up with each change, so that a pick need not look for them: a
 * slot that fills up is replaced by the last one of the list.
 */
export class ReplicaSet {
  readonly free: ReplicaSlot[] = [];
  readonly models = new ModelPlaces();
  readonly byId = new Map<string, ReplicaSlot>();
  /** In the order of start; no slot that has left. */
  slots: readonly ReplicaSlot[] = [];
  /** Calls that a replica takes. */
  capacity = 0;
  /** Whether the replicas are on different nodes. */
  spansNodes = false;
  readonly #options: ReplicaSetOptions;
  readonly #leaving = new Set<ReplicaSlot>();
  #ring: HashRing | undefined = undefined;
  #closed = false;

  constructor(options: ReplicaSetOptions) {
    this.#options = options;
  }

  /** The ring of all replicas, also of those that cannot be reached now: it must be the same for all callers. */
  get ring(): HashRing {
    return (this.#ring ??= new HashRing([...this.byId.keys()]));
  }

  /** Every slot with a connection, those that are about to end included. */
  *all(): Iterable<ReplicaSlot> {
    yield* this.slots;
    yield* this.#leaving;
  }

  /** Takes over a newer set of replicas: connects to new ones, lets those that left end, keeps the others. */
  update(targets: readonly ReplicaTarget[], capacity: number): void {
    const grown = capacity > this.capacity;
    this.capacity = capacity;
    const gone = new Map(this.byId);
    const slots = targets.map((target) => {
      const known = gone.get(target.replicaId);
      gone.delete(target.replicaId);
      return known === undefined ? this.#enter(target) : this.#keep(known, target);
    });
    for (const slot of gone.values()) this.#leave(slot);
    this.#replaceAll(slots);
    for (const slot of slots) {
      if (grown) slot.blocked = false;
      this.refresh(slot);
    }
  }

  /** Takes a place at a slot for a call. */
  take(slot: ReplicaSlot): void {
    if (++slot.own >= this.capacity) this.#unlist(slot);
  }

  /** Gives back a place that was taken and not used. */
  giveBack(slot: ReplicaSlot): void {
    slot.own--;
    this.refresh(slot);
  }

  /** Lists the slot as free, or not, by what is known of it now. */
  refresh(slot: ReplicaSlot): void {
    if (slot.phase === "open" && !slot.left && !slot.blocked && slot.own < this.capacity) this.#list(slot);
    else this.#unlist(slot);
  }

  /** The slot's replica has reported: it may have room again after a refusal, or nothing left to wait for. */
  noteReport(slot: ReplicaSlot): void {
    if (slot.left || slot.phase === "draining") {
      this.#unlist(slot);
      this.#hangUpIfIdle(slot);
      return;
    }
    if (slot.blocked && slot.own + slot.others < this.capacity) slot.blocked = false;
    this.refresh(slot);
  }

  /** The slot's connection is gone: nothing more goes there, and while its replica is in the set another is tried for. */
  lose(slot: ReplicaSlot): void {
    if (slot.phase === "lost" || slot.phase === "closed") return;
    slot.phase = "lost";
    this.#unlist(slot);
    if (slot.left) {
      this.#leaving.delete(slot);
      return;
    }
    if (this.#closed) return;
    const { clock } = this.#options;
    if (clock.now() - slot.connectedAtMs >= LAST_RETRY_MS) slot.retryMs = FIRST_RETRY_MS;
    slot.reconnect = clock.setTimer(slot.retryMs, () => {
      this.connectAgain(slot);
      this.#options.owner.onRoom(this.byId.get(slot.target.replicaId)!);
    });
  }

  /** Puts a new slot with a new connection in the place of one that was lost. */
  connectAgain(lost: ReplicaSlot): ReplicaSlot {
    lost.reconnect?.cancel();
    this.models.remove(lost);
    const slot = this.#enter(lost.target, Math.min(lost.retryMs * 2, LAST_RETRY_MS));
    this.#replaceAll(this.slots.map((each) => (each === lost ? slot : each)));
    this.refresh(slot);
    return slot;
  }

  /** Closes every connection; calls that are open are reported as lost. */
  close(): void {
    this.#closed = true;
    this.free.length = 0;
    for (const slot of this.all()) {
      slot.reconnect?.cancel();
      slot.freeIndex = -1;
      // Closing a connection is no reason to make another.
      slot.left = true;
      slot.client.close();
    }
  }

  #enter(target: ReplicaTarget, retryMs = FIRST_RETRY_MS): ReplicaSlot {
    for (const slot of this.#leaving) {
      if (slot.target.replicaId !== target.replicaId) continue;
      this.#leaving.delete(slot);
      slot.left = false;
      return this.#keep(slot, target);
    }
    const { clock, connect, log, owner } = this.#options;
    const slot = new ReplicaSlot(target, owner, retryMs);
    slot.connectedAtMs = clock.now();
    this.models.announce(slot);
    try {
      slot.client = connect(target, slot);
    } catch (error) {
      slot.client = unreachable;
      log.warn(`No way to replica ${target.replicaId}: ${String(error)}`);
    }
    return slot;
  }

  #keep(slot: ReplicaSlot, target: ReplicaTarget): ReplicaSlot {
    const announced = slot.target.modelIds;
    slot.target = target;
    if (!sameModels(announced, target.modelIds)) this.models.announce(slot);
    return slot;
  }

  #leave(slot: ReplicaSlot): void {
    slot.left = true;
    slot.reconnect?.cancel();
    this.#unlist(slot);
    this.models.remove(slot);
    if (slot.phase === "lost" || slot.phase === "closed") return;
    this.#leaving.add(slot);
    this.#hangUpIfIdle(slot);
  }

  /** A replica that stops waits until every caller that has its answers has hung up. */
  #hangUpIfIdle(slot: ReplicaSlot): void {
    if (!slot.idle || slot.phase === "lost" || slot.phase === "closed") return;
    slot.phase = "closed";
    this.#leaving.delete(slot);
    slot.client.close();
  }

  #replaceAll(slots: readonly ReplicaSlot[]): void {
    const same = slots.length === this.byId.size && slots.every((slot) => this.byId.has(slot.target.replicaId));
    if (!same) {
      this.byId.clear();
      this.#ring = undefined;
    }
    this.slots = slots;
    slots.forEach((slot, index) => {
      slot.index = index;
      this.byId.set(slot.target.replicaId, slot);
    });
    this.spansNodes = slots.some((slot) => slot.target.nodeId !== slots[0]!.target.nodeId);
  }

  #list(slot: ReplicaSlot): void {
    if (slot.freeIndex < 0) slot.freeIndex = this.free.push(slot) - 1;
  }

  #unlist(slot: ReplicaSlot): void {
    const at = slot.freeIndex;
    if (at < 0) return;
    const last = this.free.pop()!;
    if (last !== slot) {
      this.free[at] = last;
      last.freeIndex = at;
    }
    slot.freeIndex = -1;
  }
}

/** Stands for a connection that could not even be tried. */
const unreachable: ReplicaClient = {
  send: () => false,
  cancel: () => {},
  grant: () => {},
  part: () => 0,
  close: () => {},
};

function sameModels(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((modelId, i) => modelId === b[i]));
}
