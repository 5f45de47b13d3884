import type { Directory } from "../core/contracts/directory.ts";
import type { Engine, RecoveredReplica } from "../core/contracts/engine.ts";
import type { ReplicaObservation } from "../core/controller/application-state.ts";
import { messageOf } from "../core/controller/failure.ts";
import type { Action } from "../core/controller/reconcile.ts";
import type { ReplicaSpec } from "../core/deployment/spec.ts";
import { ReplicaLink } from "./replica-link.ts";

export interface FleetOptions {
  /** Where replicas of an isolation run; asked at each start. */
  readonly engines: (isolation: "process" | "thread") => Engine;
  readonly directory: Directory;
  /** Answers `serve.status()` from inside a replica. */
  status(): unknown;
  onObserved(app: string, seen: ReplicaObservation): void;
}

/** Every replica that a controller has started or taken over, until its process is gone. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #links = new Map<string, ReplicaLink>();
  readonly #engines = new Set<Engine>();

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  get replicaIds(): readonly string[] {
    return [...this.#links.keys()];
  }

  has(replicaId: string): boolean {
    return this.#links.has(replicaId);
  }

  pidOf(replicaId: string): number | undefined {
    return this.#links.get(replicaId)?.pid;
  }

  /** What goes wrong at once is observed like what goes wrong later. */
  start(spec: ReplicaSpec): void {
    this.#link(spec, (listener) => this.#engine(spec.options.isolation).start(spec, listener));
  }

  /** Replicas that a controller before this one has started. */
  find(): readonly RecoveredReplica[] {
    return this.#engine("process").recover?.() ?? [];
  }

  adopt(found: RecoveredReplica): void {
    this.#link(found.spec, (listener) => found.adopt(listener));
  }

  perform(action: Exclude<Action, { type: "start" }>): void {
    this.#links.get(action.replicaId)?.perform(action);
  }

  /** Ends every process that is left. */
  async close(): Promise<void> {
    await Promise.all([...this.#engines].map((engine) => engine.close()));
    this.#engines.clear();
  }

  #engine(isolation: "process" | "thread"): Engine {
    const engine = this.#options.engines(isolation);
    this.#engines.add(engine);
    return engine;
  }

  #link({ app, deployment, replicaId }: ReplicaSpec, begin: RecoveredReplica["adopt"]): void {
    const { directory, status, onObserved } = this.#options;
    const onEvent = (event: ReplicaObservation["event"]): void => {
      if (event.type === "exited") this.#links.delete(replicaId);
      onObserved(app, { deployment, replicaId, event });
    };
    try {
      this.#links.set(replicaId, new ReplicaLink({ begin, directory, onEvent, status }));
    } catch (error) {
      onEvent({ type: "exited", description: `it could not be started: ${messageOf(error)}` });
    }
  }
}
