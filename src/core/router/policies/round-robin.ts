import type { Call } from "../../handle/call.ts";
import type { ReplicaSlot } from "../replica-slot.ts";

/** Makes a policy that takes the candidates in turn, in the order of their start. */
export function roundRobin(): (candidates: readonly ReplicaSlot[], call: Call) => ReplicaSlot {
  let last = -1;
  return (candidates) => {
    // Candidates come in any order: the next is the lowest beyond the last, or the lowest of all.
    let next: ReplicaSlot | undefined;
    let lowest = candidates[0]!;
    for (const slot of candidates) {
      if (slot.index > last && (next === undefined || slot.index < next.index)) next = slot;
      if (slot.index < lowest.index) lowest = slot;
    }
    const chosen = next ?? lowest;
    last = chosen.index;
    return chosen;
  };
}
