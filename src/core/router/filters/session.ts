import type { HashRing } from "../hash-ring.ts";
import { isAmong, type ReplicaSlot } from "../replica-slot.ts";

/** Where the replicas of a ring are found. */
export interface RingPlaces {
  readonly ring: HashRing;
  readonly byId: ReadonlyMap<string, ReplicaSlot>;
}

/**
 * The candidate that a key belongs to: its owner on the ring, or the next one there with a free place.
 *
 * That is the bound on the load of a hot key: the capacity of its owner. undefined if no candidate is on the ring.
 */
export function ownerOf(hash: number, candidates: readonly ReplicaSlot[], places: RingPlaces): ReplicaSlot | undefined {
  const { ring, byId } = places;
  const first = ring.find(hash);
  for (let step = 0; step < ring.points; step++) {
    const slot = byId.get(ring.replicaAt(first + step));
    if (slot !== undefined && isAmong(slot, candidates)) return slot;
  }
  return undefined;
}
