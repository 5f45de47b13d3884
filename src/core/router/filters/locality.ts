import type { ReplicaSlot } from "../replica-slot.ts";

/**
 * The candidates on the caller's own node, or all if none of them is.
 *
 * @param local reused for the answer: it is read before the next one is made.
 */
export function preferLocal(
  candidates: readonly ReplicaSlot[],
  nodeId: string,
  local: ReplicaSlot[],
): readonly ReplicaSlot[] {
  local.length = 0;
  for (const slot of candidates) if (slot.target.nodeId === nodeId) local.push(slot);
  return local.length > 0 ? local : candidates;
}
