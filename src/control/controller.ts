import type { Clock } from "../core/contracts/clock.ts";
import type { Directory } from "../core/contracts/directory.ts";
import type { Engine } from "../core/contracts/engine.ts";
import type { Log } from "../core/contracts/log.ts";
import type { DeploymentAction, ReplicaObservation } from "../core/controller/application-state.ts";
import type { Moment } from "../core/controller/reconcile.ts";
import { recoverApplication, recoverLeftovers } from "../core/controller/recover.ts";
import { missingSnapshot, type SnapshotContent } from "../core/controller/snapshot-builder.ts";
import { reportApplication } from "../core/controller/status-report.ts";
import { replicaSpecOf } from "../core/controller/target.ts";
import type { ApplicationSpec } from "../core/deployment/spec.ts";
import { DeploymentFailedError } from "../core/errors.ts";
import { INGRESS } from "../core/router/snapshot.ts";
import { messageOf } from "../core/controller/failure.ts";
import type { ServeStatus } from "../core/serve-types.ts";
import { DeadlineTimer } from "./deadline-timer.ts";
import { Fleet } from "./fleet.ts";
import { Publisher } from "./publisher.ts";
import { SupervisedApplication, type DeploymentChange } from "./supervised-application.ts";

/** What a controller needs from outside. */
export interface ControllerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly nodeId: string;
  /** Where replicas of an isolation run; asked at each start, and closed by `shutdown()`. */
  readonly engines: (isolation: "process" | "thread") => Engine;
  /** Names a new replica; no name may come twice. @default the deployment's name and six random characters */
  readonly newReplicaId?: (deployment: string) => string;
  /** Told of each change of a deployment's status or message: for showing progress. */
  readonly onChange?: (change: DeploymentChange) => void;
  /** Told of everything that is decided for a replica, but for the checks of its health. */
  readonly onDecision?: (app: string, decision: DeploymentAction) => void;
}

/** What a controller still holds; after `shutdown()`, and when the routers have unsubscribed, nothing. */
export interface ControllerLeftovers {
  readonly applications: readonly string[];
  readonly replicas: readonly string[];
  readonly subscriptions: number;
  readonly timers: number;
}

/**
 * Brings applications to what was asked for and keeps them there.
 *
 * It decides nothing itself: it takes events to the pure functions of `core/controller`, and their actions to the
 * engines. It works when something happens or is due, never by looking again and again.
 */
export class Controller {
  /** Where the routers of this process learn of replicas. */
  readonly directory: Directory;
  readonly #options: ControllerOptions;
  readonly #publisher: Publisher;
  readonly #timer: DeadlineTimer;
  readonly #apps = new Map<string, SupervisedApplication>();
  readonly #fleet: Fleet;
  #observations: { readonly app: string; readonly seen: ReplicaObservation }[] = [];
  readonly #due = new Set<string>();
  #isWorking = false;
  #closing: Promise<void> | undefined = undefined;

  constructor(options: ControllerOptions) {
    const { clock, log } = options;
    this.#options = options;
    this.#publisher = new Publisher({ clock, log, describe: (app, deployment) => this.#describe(app, deployment) });
    this.directory = this.#publisher;
    this.#fleet = new Fleet({
      engines: options.engines,
      directory: this.#publisher,
      status: () => this.status(),
      onObserved: (app, seen) => {
        this.#observations.push({ app, seen });
        this.#work(app);
      },
    });
    this.#timer = new DeadlineTimer(clock, () => this.#work(...this.#apps.keys()));
  }

  /**
   * Deploys an application, or updates the one of this name. Resolves when every replica runs.
   *
   * If it fails, nothing is left of a first deploy, and an update is taken back. A later deploy of the same name
   * takes the place of one that is going on.
   *
   * @throws {DeploymentFailedError} whose `cause` is what the user's code threw.
   */
  async deploy(spec: ApplicationSpec): Promise<void> {
    let app = this.#apps.get(spec.name);
    while (app?.state.phase === "deleting" && this.#closing === undefined) {
      await app.gone;
      app = this.#apps.get(spec.name);
    }
    if (this.#closing !== undefined) {
      throw new DeploymentFailedError(`Application "${spec.name}" cannot be deployed: the controller was shut down.`, {
        deployment: spec.ingress,
      });
    }
    if (app === undefined) {
      app = SupervisedApplication.deployed(spec, this.#options.nodeId);
      this.#apps.set(spec.name, app);
    } else {
      app.update(spec);
    }
    const { deployed } = app;
    this.#work(spec.name);
    await deployed;
  }

  /**
   * Takes over what a controller before this one kept: `specs` are the applications that it had reached. Replicas of
   * others, which were on their way in or out, are stopped. To be called before the first deploy.
   *
   * @returns those of the applications of which something is there; the others must be deployed.
   */
  recover(specs: readonly ApplicationSpec[]): readonly string[] {
    const found = Map.groupBy(this.#fleet.find(), ({ spec }) => spec.app);
    const { nodeId, clock } = this.#options;
    const wanted = new Map(specs.map((spec) => [spec.name, spec]));
    for (const [name, replicas] of found) {
      const spec = wanted.get(name);
      const state =
        spec === undefined
          ? recoverLeftovers(name, replicas, clock.now())
          : recoverApplication(spec, replicas, clock.now());
      this.#apps.set(name, SupervisedApplication.recovered(state, nodeId));
      for (const each of replicas) this.#fleet.adopt(each);
    }
    this.#work(...this.#apps.keys());
    return [...wanted.keys()].filter((name) => found.has(name));
  }

  /** Drains and stops an application, callers first. Resolves when nothing of it is left, also if there was nothing. */
  async delete(name: string): Promise<void> {
    const app = this.#apps.get(name);
    app?.remove();
    this.#work(name);
    await app?.gone;
  }

  /** Deletes everything and closes the engines. Idempotent; the controller takes no further deploy. */
  shutdown(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  /** Whether HTTP requests can be given to an application, which is certain when it is deployed. */
  answersHttp(name: string): boolean {
    return this.#apps.get(name)?.answersHttp ?? false;
  }

  /** What runs now. */
  status(): ServeStatus {
    const { clock, nodeId } = this.#options;
    const context = { nowMs: clock.now(), nodeId, pidOf: (replicaId: string) => this.#fleet.pidOf(replicaId) };
    const applications = Object.fromEntries(
      [...this.#apps].map(([name, app]) => [name, reportApplication(app.state, context)]),
    );
    return { applications, proxies: [] };
  }

  /** Whether nothing runs, is subscribed or is due. */
  isIdle(): boolean {
    const { applications, replicas, subscriptions, timers } = this.leftovers();
    return applications.length + replicas.length + subscriptions + timers === 0;
  }

  /** What is still there: for tests that look for leaks. */
  leftovers(): ControllerLeftovers {
    return {
      applications: [...this.#apps.keys()],
      replicas: this.#fleet.replicaIds,
      subscriptions: this.#publisher.subscriptions,
      timers: this.#timer.isSet ? 1 : 0,
    };
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#apps.keys()].map((name) => this.delete(name)));
    await this.#fleet.close();
  }

  /** Works off what was observed and what is due; what comes in meanwhile, such as from an engine that answers at once, too. */
  #work(...due: readonly string[]): void {
    for (const name of due) this.#due.add(name);
    if (this.#isWorking) return;
    this.#isWorking = true;
    try {
      while (this.#due.size > 0) {
        const nowMs = this.#options.clock.now();
        const observations = this.#observations;
        this.#observations = [];
        for (const { app, seen } of observations) this.#apps.get(app)?.observe(seen, nowMs);
        const names = [...this.#due];
        this.#due.clear();
        for (const name of names) this.#step(name);
      }
      const nowMs = this.#options.clock.now();
      this.#timer.set(Math.min(Infinity, ...[...this.#apps.values()].map((app) => app.deadlineMs(nowMs))));
    } finally {
      this.#isWorking = false;
    }
  }

  #step(name: string): void {
    const app = this.#apps.get(name);
    if (app === undefined) return;
    const { snapshots, actions, changes } = app.step(this.#moment());
    // A replica leaves the routing before it is told to stop.
    for (const snapshot of snapshots) {
      this.#publisher.publish(snapshot);
      if (snapshot.deployment === app.ingress) this.#publisher.publish({ ...snapshot, deployment: INGRESS });
    }
    for (const action of actions) this.#perform(name, action);
    for (const change of changes) this.#report(change);
    if (app.isGone) this.#apps.delete(name);
    app.settle();
  }

  #perform(app: string, { deployment, action }: DeploymentAction): void {
    const { replicaId } = action;
    if (action.type !== "check-health") this.#options.onDecision?.(app, { deployment, action });
    if (action.type === "start") {
      const { target, rank } = action;
      this.#fleet.start(replicaSpecOf(target, { replicaId, rank, nodeId: this.#options.nodeId }));
      return;
    }
    if (action.type === "kill")
      this.#options.log.warn(`Replica ${replicaId} is killed: ${action.reason}`, { app, deployment, replicaId });
    this.#fleet.perform(action);
  }

  #report(change: DeploymentChange): void {
    const { app, deployment, status, message } = change;
    const text = `Deployment "${deployment}" of application "${app}" is ${status}${message === "" ? "" : `: ${message}`}`;
    // What cannot be deployed is told to whoever deploys, by an error.
    if (message === "" || status === "DEPLOY_FAILED") this.#options.log.info(text, { app, deployment });
    else this.#options.log.warn(text, { app, deployment });
    try {
      this.#options.onChange?.(change);
    } catch (error) {
      // Showing progress must not keep replicas from being started or stopped.
      this.#options.log.error(`A listener for changes failed: ${messageOf(error)}`, { app, deployment });
    }
  }

  #describe(name: string, deployment: string): SnapshotContent {
    const app = this.#apps.get(name);
    if (deployment === INGRESS && app !== undefined) return { ...this.#describe(name, app.ingress), deployment };
    const state = app?.state.deployments.get(deployment);
    if (app === undefined || state === undefined)
      return missingSnapshot(name, deployment, app && [...app.state.deployments.keys()]);
    return app.describe(state);
  }

  #moment(): Moment {
    const { clock } = this.#options;
    return {
      nowMs: clock.now(),
      wallNowMs: clock.wallNow(),
      newReplicaId: (deployment) => this.#newReplicaId(deployment),
    };
  }

  #newReplicaId(deployment: string): string {
    if (this.#options.newReplicaId !== undefined) return this.#options.newReplicaId(deployment);
    for (;;) {
      const random = Math.floor(this.#options.clock.random() * 36 ** 6);
      const replicaId = `${deployment}#${random.toString(36).padStart(6, "0")}`;
      if (!this.#fleet.has(replicaId)) return replicaId;
    }
  }
}
