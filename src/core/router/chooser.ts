import type { Clock } from "../contracts/clock.ts";
import type { Log } from "../contracts/log.ts";
import type { BodyEncoder } from "../contracts/replica-client.ts";
import type { Call } from "../handle/call.ts";
import { preferLocal } from "./filters/locality.ts";
import { preferModel } from "./filters/multiplexed-model.ts";
import { ownerOf } from "./filters/session.ts";
import { hashText } from "./hash.ts";
import { consistentHash } from "./policies/consistent-hash.ts";
import { powerOfTwoChoices } from "./policies/power-of-two-choices.ts";
import { roundRobin } from "./policies/round-robin.ts";
import { askPolicy } from "./policies/user-policy.ts";
import type { RouterPolicy } from "./policy.ts";
import type { ReplicaSet } from "./replica-set.ts";
import type { ReplicaSlot } from "./replica-slot.ts";
import type { CodeReference, DeploymentSnapshot } from "./snapshot.ts";

/** One of the built-in policies: picks among at least one candidate, in any order. */
type SlotPolicy = (candidates: readonly ReplicaSlot[], call: Call, clock: Clock) => ReplicaSlot;

export interface ChooserOptions {
  readonly clock: Clock;
  readonly encoder: BodyEncoder;
  readonly nodeId: string;
  readonly log: Log;
  resolvePolicy(reference: CodeReference): RouterPolicy | undefined;
}

/**
 * Chooses the replica for a call: filters narrow down the slots with a free place, a policy picks among what they leave.
 *
 * The order of the filters: model, session, locality. A model that is loaded is worth more than a session, which is
 * worth more than a near replica. A user's policy sees sessions and models itself and gets all free replicas, but for
 * locality, which it cannot know.
 */
export class Chooser {
  readonly #replicas: ReplicaSet;
  readonly #options: ChooserOptions;
  readonly #clock: Clock;
  /** Reused by the filters. */
  readonly #narrowed: ReplicaSlot[] = [];
  #policy: SlotPolicy = powerOfTwoChoices;
  #userPolicy: RouterPolicy | undefined = undefined;
  #key = "";

  constructor(replicas: ReplicaSet, options: ChooserOptions) {
    this.#replicas = replicas;
    this.#options = options;
    this.#clock = options.clock;
  }

  /** Whether a user's policy is in use: it may let a call wait although there are free places, and wants to see arguments. */
  get asksUser(): boolean {
    return this.#userPolicy !== undefined;
  }

  /** Chooses as the snapshot says. A policy that goes on keeps what it remembers, such as whose turn it is. */
  follow(snapshot: DeploymentSnapshot): void {
    const { policy } = snapshot;
    const key =
      typeof policy === "string" ? policy : JSON.stringify([policy.module, policy.name, policy.ordinal, policy.mark]);
    if (key === this.#key) return;
    this.#key = key;
    this.#userPolicy = undefined;
    switch (policy) {
      case "power-of-two-choices":
        this.#policy = powerOfTwoChoices;
        return;
      case "round-robin":
        this.#policy = roundRobin(this.#replicas);
        return;
      case "consistent-hash":
        this.#policy = consistentHash(this.#replicas);
        return;
      default:
        this.#userPolicy = this.#options.resolvePolicy(policy);
    }
    if (this.#userPolicy !== undefined) return;
    this.#policy = powerOfTwoChoices;
    // Its module may be loaded by the time of the next snapshot.
    this.#key = "";
    const { app, deployment } = snapshot;
    this.#options.log.warn(
      `The routing policy of deployment "${deployment}" of application "${app}" was not found in ${policy.module}: requests are routed by power of two choices. Define it where the deployment is defined.`,
    );
  }

  /**
   * The slot to take; undefined: the call has to wait.
   *
   * @throws what a user's policy throws.
   */
  choose(call: Call): ReplicaSlot | undefined {
    const { free } = this.#replicas;
    if (free.length === 0) return undefined;
    const { multiplexedModelId, sessionId, preferLocalRouting } = call.template;
    if (this.#userPolicy !== undefined) return this.#ask(this.#userPolicy, call);
    if (multiplexedModelId === "" && sessionId === "" && !preferLocalRouting)
      return this.#policy(free, call, this.#clock);
    return this.#chooseNarrowed(call);
  }

  #chooseNarrowed(call: Call): ReplicaSlot {
    const { free, models, spansNodes } = this.#replicas;
    const { multiplexedModelId: modelId, sessionId, preferLocalRouting } = call.template;
    let candidates: readonly ReplicaSlot[] = free;
    if (modelId !== "") candidates = preferModel(free, { modelId, places: models, found: this.#narrowed });
    if (sessionId !== "") {
      const owner = ownerOf(hashText(sessionId), candidates, this.#replicas);
      if (owner !== undefined) return owner;
    }
    if (modelId === "" && preferLocalRouting && spansNodes)
      candidates = preferLocal(free, this.#options.nodeId, this.#narrowed);
    return this.#policy(candidates, call, this.#clock);
  }

  #ask(policy: RouterPolicy, call: Call): ReplicaSlot | undefined {
    const { slots, capacity, spansNodes } = this.#replicas;
    let shown: readonly ReplicaSlot[] = slots.filter((slot) => slot.freeIndex >= 0);
    if (call.template.preferLocalRouting && spansNodes) shown = preferLocal(shown, this.#options.nodeId, []);
    const { clock, encoder } = this.#options;
    return askPolicy(shown, call, { policy, capacity, clock, encoder });
  }
}
