import type { ReplicaSlot } from "./replica-slot.ts";

/** Models sent to one replica and never announced by it; beyond that the oldest is forgotten. */
const MAX_EXPECTED = 64;

/**
 * Which replicas hold which model: what they announced, and what this caller has sent them since.
 *
 * Without the second, requests for a model that nobody holds yet would each load it somewhere else.
 */
export class ModelPlaces {
  readonly #holders = new Map<string, ReplicaSlot[]>();

  /** The replicas that hold a model or were sent it. */
  holders(modelId: string): readonly ReplicaSlot[] {
    return this.#holders.get(modelId) ?? NONE;
  }

  /** Takes over what the slot's replica has announced. What it was sent before no longer counts: it has had its say. */
  announce(slot: ReplicaSlot): void {
    this.remove(slot);
    for (const modelId of slot.target.modelIds) this.#add(modelId, slot);
    slot.announcedModels = slot.modelIds.size;
  }

  /** A request for the model was sent to the slot's replica. */
  expect(modelId: string, slot: ReplicaSlot): void {
    if (slot.modelIds.has(modelId)) return;
    if (slot.modelIds.size - slot.announcedModels >= MAX_EXPECTED)
      this.#drop([...slot.modelIds][slot.announcedModels]!, slot);
    this.#add(modelId, slot);
  }

  remove(slot: ReplicaSlot): void {
    for (const modelId of slot.modelIds) this.#drop(modelId, slot);
    slot.announcedModels = 0;
  }

  #add(modelId: string, slot: ReplicaSlot): void {
    if (slot.modelIds.has(modelId)) return;
    slot.modelIds.add(modelId);
    const holders = this.#holders.get(modelId);
    if (holders === undefined) this.#holders.set(modelId, [slot]);
    else holders.push(slot);
  }

  #drop(modelId: string, slot: ReplicaSlot): void {
    slot.modelIds.delete(modelId);
    const holders = this.#holders.get(modelId)!.filter((holder) => holder !== slot);
    if (holders.length === 0) this.#holders.delete(modelId);
    else this.#holders.set(modelId, holders);
  }
}

const NONE: readonly ReplicaSlot[] = [];
