import type { Clock } from "../../contracts/clock.ts";
import type { Call } from "../../handle/call.ts";
import type { ReplicaSlot } from "../replica-slot.ts";

/**
 * The less loaded of two different candidates taken at random: nearly as even as asking all, at the cost of two looks,
 * and callers that know the same do not all run to the same replica.
 */
export function powerOfTwoChoices(candidates: readonly ReplicaSlot[], _call: Call, clock: Clock): ReplicaSlot {
  const count = candidates.length;
  if (count === 1) return candidates[0]!;
  // One draw for an ordered pair; of two that are equal the first is taken, and which is first is chance.
  const draw = Math.floor(clock.random() * count * (count - 1));
  const i = Math.floor(draw / (count - 1));
  const j = draw - i * (count - 1);
  const first = candidates[i]!;
  const second = candidates[j < i ? j : j + 1]!;
  return second.own + second.others < first.own + first.others ? second : first;
}
