import type { Call } from "../../handle/call.ts";
import { isAmong, type ReplicaSlot } from "../replica-slot.ts";

/** Makes a policy that takes the candidates in turn, in the order of their start as `places` has it. */
export function roundRobin(places: {
  readonly slots: readonly ReplicaSlot[];
}): (candidates: readonly ReplicaSlot[], call: Call) => ReplicaSlot {
  let last = -1;
  return (candidates) => {
    const { slots } = places;
    for (let step = 1; step <= slots.length; step++) {
      const slot = slots[(last + step) % slots.length]!;
      if (!isAmong(slot, candidates)) continue;
      last = slot.index;
      return slot;
    }
    return candidates[0]!;
  };
}
