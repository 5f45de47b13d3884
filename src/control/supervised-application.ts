import {
  applicationDeadlineMs,
  deleteApplication,
  deployApplication,
  observeReplica,
  stepApplication,
  type ApplicationState,
  type DeploymentAction,
  type ReplicaObservation,
} from "../core/controller/application-state.ts";
import { isServing, type DeploymentState } from "../core/controller/deployment-state.ts";
import type { Moment } from "../core/controller/reconcile.ts";
import { snapshotOf, type SnapshotContent } from "../core/controller/snapshot-builder.ts";
import type { ApplicationSpec } from "../core/deployment/spec.ts";
import { DeploymentFailedError } from "../core/errors.ts";
import type { DeploymentStatus } from "../core/serve-types.ts";

/** The status of a deployment is another than before, or has another reason. */
export interface DeploymentChange {
  readonly app: string;
  readonly deployment: string;
  readonly status: DeploymentStatus;
  readonly message: string;
}

/** What one step asks of the controller, in this order: first callers learn where replicas are, then replicas change. */
export interface ApplicationStep {
  readonly snapshots: readonly SnapshotContent[];
  readonly actions: readonly DeploymentAction[];
  readonly changes: readonly DeploymentChange[];
}

/** One application that a controller keeps, and who waits for what of it. */
export class SupervisedApplication {
  /** Resolves when nothing of the application is left. */
  readonly gone: Promise<void>;
  readonly #gone = Promise.withResolvers<void>();
  readonly #nodeId: string;
  #state: ApplicationState;
  #deploy: PromiseWithResolvers<void> | undefined = undefined;
  /** Status and message of each deployment, as last reported. */
  #reported: ReadonlyMap<string, DeploymentChange> = new Map();

  private constructor(state: ApplicationState, nodeId: string) {
    this.gone = this.#gone.promise;
    this.#nodeId = nodeId;
    this.#state = state;
  }

  static deployed(spec: ApplicationSpec, nodeId: string): SupervisedApplication {
    const app = new SupervisedApplication(deployApplication(undefined, spec), nodeId);
    app.#deploy = Promise.withResolvers();
    return app;
  }

  /** One that a controller before this one kept. */
  static recovered(state: ApplicationState, nodeId: string): SupervisedApplication {
    return new SupervisedApplication(state, nodeId);
  }

  get state(): ApplicationState {
    return this.#state;
  }

  /** The name of the deployment behind the application's own handle. */
  get ingress(): string {
    return this.#state.spec.ingress;
  }

  /** Whether HTTP requests can be given to its ingress: by its class, or by what a replica found in its instance. */
  get answersHttp(): boolean {
    const ingress = this.#state.deployments.get(this.ingress);
    if (ingress === undefined) return false;
    const { target, replicas } = ingress;
    return target.spec.answersHttp || replicas.some((each) => isServing(each) && each.methods.includes("fetch"));
  }

  get isGone(): boolean {
    return this.#state.phase === "deleting" && this.#state.deployments.size === 0;
  }

  /** Settles when the deploy that goes on is done, has failed or was given up for another. */
  get deployed(): Promise<void> {
    return this.#deploy?.promise ?? Promise.resolve();
  }

  /** Not for an application that is being deleted. */
  update(spec: ApplicationSpec): void {
    this.#abandonDeploy("was deployed again before this deploy was done");
    this.#state = deployApplication(this.#state, spec);
    this.#deploy = Promise.withResolvers();
  }

  /** No effect while it is being deleted: a failed first deploy then still rejects with its reason. */
  remove(): void {
    if (this.#state.phase === "deleting") return;
    this.#abandonDeploy("was deleted before its deploy was done");
    this.#state = deleteApplication(this.#state);
  }

  observe(seen: ReplicaObservation, nowMs: number): void {
    this.#state = observeReplica(this.#state, seen, nowMs);
  }

  step(moment: Moment): ApplicationStep {
    const before = this.#state.deployments;
    const { app, actions } = stepApplication(this.#state, moment);
    this.#state = app;
    const left = [...before.values()].filter((state) => !app.deployments.has(state.target.spec.name));
    const ended = left.map((state): DeploymentState => ({ ...state, mode: "stopping", replicas: [] }));
    return {
      actions,
      changes: this.#changes(left),
      snapshots: [...app.deployments.values(), ...ended].map((state) => this.describe(state)),
    };
  }

  describe(state: DeploymentState): SnapshotContent {
    return snapshotOf(state, { nodeId: this.#nodeId, failure: this.#state.failure?.message });
  }

  deadlineMs(nowMs: number): number {
    return applicationDeadlineMs(this.#state, nowMs);
  }

  /** Tells those who wait, once a step is carried out. */
  settle(): void {
    const { phase, failure } = this.#state;
    if (phase === "running" || this.isGone) {
      if (failure === undefined) this.#deploy?.resolve();
      else
        this.#deploy?.reject(
          new DeploymentFailedError(failure.message, { deployment: failure.deployment, cause: failure.failure.error }),
        );
      this.#deploy = undefined;
    }
    if (this.isGone) this.#gone.resolve();
  }

  #abandonDeploy(what: string): void {
    const { name, ingress } = this.#state.spec;
    this.#deploy?.reject(new DeploymentFailedError(`Application "${name}" ${what}.`, { deployment: ingress }));
    this.#deploy = undefined;
  }

  /** What has `left` in this step may have failed in it as well. */
  #changes(left: readonly DeploymentState[]): readonly DeploymentChange[] {
    const known = this.#reported;
    const now = [...left, ...this.#state.deployments.values()].map(changeOf);
    this.#reported = new Map(now.slice(left.length).map((change) => [change.deployment, change]));
    return now.filter((change) => {
      const last = known.get(change.deployment);
      return last?.status !== change.status || last.message !== change.message;
    });
  }
}

function changeOf({ target, status, message }: DeploymentState): DeploymentChange {
  return { app: target.app, deployment: target.spec.name, status, message };
}
