import type { ModelPlaces } from "../model-places.ts";
import type { ReplicaSlot } from "../replica-slot.ts";

/** What `preferModel` works with. */
export interface ModelSearch {
  readonly modelId: string;
  readonly places: ModelPlaces;
  /** Reused for the answer: it is read before the next one is made. */
  readonly found: ReplicaSlot[];
}

/**
 * The candidates that hold a model; if none does, at once those with the fewest models.
 *
 * Waiting for a busy holder instead would trade a load that happens once for a wait that happens always.
 */
export function preferModel(candidates: readonly ReplicaSlot[], search: ModelSearch): readonly ReplicaSlot[] {
  const { found } = search;
  found.length = 0;
  for (const slot of search.places.holders(search.modelId)) if (slot.freeIndex >= 0) found.push(slot);
  if (found.length > 0) return found;
  let fewest = Infinity;
  for (const slot of candidates) {
    const models = slot.modelIds.size;
    if (models > fewest) continue;
    if (models < fewest) {
      fewest = models;
      found.length = 0;
    }
    found.push(slot);
  }
  return found;
}
