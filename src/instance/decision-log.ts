import type { Decision } from "../admin/admin-service.ts";
import type { Clock } from "../core/contracts/clock.ts";
import type { DeploymentAction } from "../core/controller/application-state.ts";
import type { Action } from "../core/controller/reconcile.ts";

/** Decisions that are kept for each application. */
const KEPT = 500;

/** What the controller has decided lately for each application, and why; newest first. */
export class DecisionLog {
  readonly #clock: Clock;
  readonly #byApp = new Map<string, Decision[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(app: string, { deployment, action }: DeploymentAction): void {
    const known = this.#byApp.get(app) ?? [];
    this.#byApp.set(app, known);
    known.unshift({
      at: new Date(this.#clock.wallNow()),
      deployment,
      replicaId: action.replicaId,
      action: action.type,
      reason: reasonOf(action),
    });
    known.length = Math.min(known.length, KEPT);
  }

  of(app: string, deployment: string): readonly Decision[] {
    return (this.#byApp.get(app) ?? []).filter((decision) => decision.deployment === deployment);
  }

  forget(app: string): void {
    this.#byApp.delete(app);
  }
}

function reasonOf(action: Action): string {
  if ("reason" in action) return action.reason;
  return action.type === "start" ? "a replica is missing" : "its options have changed";
}
