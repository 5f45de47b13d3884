import type { Call } from "../../handle/call.ts";
import { ownerOf, type RingPlaces } from "../filters/session.ts";
import { hashNumber, hashText } from "../hash.ts";
import type { ReplicaSlot } from "../replica-slot.ts";

/** Makes a policy that places each request by its session, or by its number if it has none. */
export function consistentHash(places: RingPlaces): (candidates: readonly ReplicaSlot[], call: Call) => ReplicaSlot {
  return (candidates, call) => {
    const { sessionId } = call.template;
    const hash = sessionId === "" ? hashNumber(call.sequence) : hashText(sessionId);
    return ownerOf(hash, candidates, places) ?? candidates[0]!;
  };
}
