import type { BodyEncoder } from "../../contracts/replica-client.ts";
import type { Clock } from "../../contracts/clock.ts";
import { ConfigError } from "../../errors.ts";
import type { Call } from "../../handle/call.ts";
import type { ReplicaCandidate, RouterPolicy } from "../policy.ts";
import type { ReplicaSlot } from "../replica-slot.ts";

/** What a user's policy is asked with, beside the call. */
export interface Question {
  readonly policy: RouterPolicy;
  readonly capacity: number;
  readonly clock: Clock;
  readonly encoder: BodyEncoder;
}

/**
 * Asks a user's policy where a call shall go; undefined: it is to wait.
 *
 * @throws what the policy throws, and `ConfigError` if it gives anything but one of its candidates or `null`.
 */
export function askPolicy(slots: readonly ReplicaSlot[], call: Call, question: Question): ReplicaSlot | undefined {
  const { policy, capacity, clock, encoder } = question;
  const { template } = call;
  const candidates = slots.map((slot) => candidateOf(slot, capacity));
  const chosen: unknown = policy(candidates, {
    requestId: requestIdOf(call),
    method: template.method,
    multiplexedModelId: template.multiplexedModelId,
    sessionId: template.sessionId,
    // Its arguments are gone if it began to wait while no policy wanted to see them.
    args: call.args ?? (call.body === undefined ? [] : encoder.decode(template, call.body)),
    random: () => clock.random(),
  });
  if (chosen === null) return undefined;
  const slot = slots[candidates.indexOf(chosen as ReplicaCandidate)];
  if (slot === undefined) {
    throw new ConfigError(
      `The routing policy of deployment "${template.deployment}" gave ${describe(chosen)}, which is none of its ${candidates.length} candidates. Return one of the objects it was given, or null to let the request wait.`,
      { path: "requestRouter.policy" },
    );
  }
  return slot;
}

function candidateOf(slot: ReplicaSlot, capacity: number): ReplicaCandidate {
  const { replicaId, nodeId, stats } = slot.target;
  return { replicaId, nodeId, ongoing: slot.own + slot.others, capacity, multiplexedModelIds: slot.modelIds, stats };
}

function requestIdOf(call: Call & { readonly requestId?: string }): string {
  return call.requestId ?? call.parent?.requestId ?? String(call.sequence);
}

function describe(value: unknown): string {
  if (value instanceof Promise) return "a promise (a policy must be synchronous)";
  if (typeof value === "object" && value !== null && "replicaId" in value)
    return `an object for replica ${String(value.replicaId)}`;
  return typeof value === "string" ? `"${value}"` : String(value);
}
