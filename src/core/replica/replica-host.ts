import type { Clock } from "../contracts/clock.ts";
import type { Containment } from "../contracts/containment.ts";
import type { ContextStore } from "../contracts/context-store.ts";
import type { ControllerMessage, ReplicaMessage, ReplicaReport } from "../contracts/control-messages.ts";
import type { Log } from "../contracts/log.ts";
import type { ReplicaSpec } from "../deployment/spec.ts";
import { ReplicaUnavailableError } from "../errors.ts";
import type { RequestScope } from "../handle/context.ts";
import type { Deadlines } from "../handle/deadlines.ts";
import { WHILE_CONSTRUCTED } from "../http/ingress.ts";
import type { DeploymentSnapshot, ReplicaAddress } from "../router/snapshot.ts";
import { checkHealth, construct, dispose, reconfigure } from "./instance.ts";
import { ReplicaModels } from "./replica-models.ts";
import { methodsOf, Replica, type ReplicaIdentity } from "./replica.ts";
import { ReplicaWatch } from "./replica-watch.ts";
import type { ReplicaFacilities } from "./workplace.ts";

export interface ReplicaHostOptions {
  readonly spec: ReplicaSpec;
  readonly clock: Clock;
  readonly contexts: ContextStore<RequestScope>;
  /** Which replica code runs for, where several share a process: life-cycle methods run in it. */
  readonly residence: ContextStore<ReplicaIdentity>;
  /** Where `batch` and `multiplexed` find what this replica offers them. */
  readonly facilities: WeakMap<ReplicaIdentity, ReplicaFacilities>;
  readonly deadlines: Deadlines;
  readonly log: Log;
  /** @default listeners of a request's signal are trusted */
  readonly containment?: Containment;
  /** Finds the user's class or function. */
  load(): Promise<Function>;
  /** Begins to accept callers; called once the replica can serve. */
  listen(replica: Replica): Promise<ReplicaAddress>;
  send(message: ReplicaMessage): void;
  /** Snapshots and answers for the handles of this process. */
  onSnapshot(snapshot: DeploymentSnapshot): void;
  onCalled(message: Extract<ControllerMessage, { type: "called" }>): void;
  /** Memory of the process in MB, where the engine can tell. */
  memoryMb?(): number;
  /** The replica has ended: free everything and exit. */
  end(): void;
}

type Announcement = Extract<ReplicaMessage, { type: "models" | "routing-stats" | "worn-out" }>;

/** Loading a model may take longer than this, so a class says itself whether it is worth a word. */
const LONG_CONSTRUCTION_MS = 10_000;

/** The life of one replica as the controller directs it: load, construct, serve, drain, end. */
export class ReplicaHost {
  readonly replica: Replica;
  readonly #options: ReplicaHostOptions;
  readonly #models: ReplicaModels;
  readonly #watch: ReplicaWatch;
  #instance: object | Function | undefined = undefined;
  #phase: "load" | "construct" | "reconfigure" | "health" = "load";
  #ready: ReplicaReport["ready"] = undefined;
  /** What it was last told. */
  #told: Pick<ReplicaReport, "options" | "userConfig">;
  readonly #announced = new Map<Announcement["type"], Announcement>();
  #stopping: Promise<void> | undefined = undefined;

  constructor(options: ReplicaHostOptions) {
    const { spec, clock, contexts, deadlines } = options;
    this.#options = options;
    const { maxOngoingRequests, gracefulShutdownTimeoutMs, gracefulShutdownWaitLoopMs, userConfig } = spec.options;
    this.#told = {
      options: { maxOngoingRequests, gracefulShutdownTimeoutMs, gracefulShutdownWaitLoopMs, worldSize: spec.worldSize },
      userConfig,
    };
    this.replica = new Replica({
      identity: {
        app: spec.app,
        deployment: spec.deployment,
        replicaId: spec.replicaId,
        rank: spec.rank,
        worldSize: spec.worldSize,
        codeVersion: spec.codeVersion,
      },
      clock,
      contexts,
      deadlines,
      log: options.log,
      containment: options.containment,
      maxOngoingRequests: spec.options.maxOngoingRequests,
      maxRequests: spec.options.maxRequests,
      onWorn: (reason) => this.#announce({ type: "worn-out", reason }),
    });
    const { replica } = this;
    const models = new ReplicaModels({ clock, announce: (modelIds) => this.#announce({ type: "models", modelIds }) });
    this.#models = models;
    this.#watch = new ReplicaWatch({
      ...options,
      reside: (fn) => options.residence.run(replica.identity, fn),
      announce: (message) => this.#announce(message),
    });
    options.facilities.set(replica.identity, {
      clock,
      log: options.log,
      models,
      get maxOngoingRequests() {
        return replica.maxOngoingRequests;
      },
    });
  }

  handle(message: ControllerMessage): void {
    switch (message.type) {
      case "initialize":
        void this.#initialize();
        return;
      case "reconfigure":
        void this.#reconfigure(message);
        return;
      case "check-health":
        void this.#checkHealth(message.id);
        return;
      case "stop":
        void this.stop(message.timeoutMs);
        return;
      case "snapshot":
        this.#options.onSnapshot(message.snapshot);
        return;
      case "called":
        this.#options.onCalled(message);
        return;
    }
  }

  /** Tells a controller that has not started it how far it is, and what it would have said already. */
  report(): void {
    const { send } = this.#options;
    send({ type: "recovered", ready: this.#ready, isStopping: this.#stopping !== undefined, ...this.#told });
    for (const message of this.#announced.values()) send(message);
  }

  /** Drains, destroys the instance and ends. Idempotent: the first call counts. */
  stop(timeoutMs: number): Promise<void> {
    return (this.#stopping ??= this.#stop(timeoutMs));
  }

  /** Lets everything lie, as when a process is killed; for replicas that share one. */
  abandon(): void {
    this.#watch.stop();
    this.#models.abandon();
  }

  async #initialize(): Promise<void> {
    const { spec, send } = this.#options;
    try {
      const target = await this.#options.load();
      await this.#reside(async () => {
        this.#phase = "construct";
        this.#instance = await this.#hinted(target, construct(target, spec.kind, spec.initArgs));
        this.#phase = "reconfigure";
        if (spec.options.userConfig !== undefined)
          await reconfigure(this.#instance, spec.deployment, spec.options.userConfig.value);
        this.#phase = "health";
        await checkHealth(this.#instance);
      });
      if (this.#stopping !== undefined) return;
      this.replica.open(this.#instance!);
      const address = await this.#options.listen(this.replica);
      this.#ready = { address, methods: methodsOf(this.#instance!) };
      send({ type: "ready", ...this.#ready });
      this.#models.open();
      this.#watch.start(this.#instance!);
    } catch (error) {
      send({ type: "failed", phase: this.#phase, error });
      void this.stop(0);
    }
  }

  async #reconfigure(message: Extract<ControllerMessage, { type: "reconfigure" }>): Promise<void> {
    const { spec, send } = this.#options;
    this.#told = { ...this.#told, options: message.options };
    this.replica.setLimit(message.options.maxOngoingRequests);
    this.replica.identity.worldSize = message.options.worldSize;
    try {
      const { userConfig } = message;
      if (userConfig !== undefined && this.#instance !== undefined) {
        await this.#reside(() => reconfigure(this.#instance!, spec.deployment, userConfig.value));
        this.#told = { ...this.#told, userConfig };
      }
      send({ type: "reconfigured", id: message.id });
    } catch (error) {
      send({ type: "reconfigured", id: message.id, error });
    }
  }

  async #checkHealth(id: number): Promise<void> {
    const { send } = this.#options;
    try {
      if (this.#instance !== undefined) await this.#reside(() => checkHealth(this.#instance!));
      send({ type: "health", id });
    } catch (error) {
      send({ type: "health", id, error });
    }
  }

  async #stop(timeoutMs: number): Promise<void> {
    const { clock, log, spec, end } = this.#options;
    this.#watch.stop();
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(timeoutMs, resolve);
      void this.replica.drain().then(() => {
        timer.cancel();
        resolve();
      });
    });
    this.replica.abort(
      new ReplicaUnavailableError(
        `Replica ${spec.replicaId} was stopped while the request ran: its time to finish (${timeoutMs} ms) was over.`,
      ),
    );
    try {
      if (this.#instance !== undefined) await this.#reside(() => dispose(this.#instance!));
    } catch (error) {
      log.error(`The destructor of ${spec.replicaId} failed: ${String(error)}`);
    }
    // After the instance, whose destructor may still need them.
    await this.#models.close();
    end();
  }

  /** Tells what may be wrong if an instance of a class that knows does not come for long. */
  async #hinted<T>(target: Function, constructing: Promise<T>): Promise<T> {
    const hint = (target as { readonly [WHILE_CONSTRUCTED]?: string })[WHILE_CONSTRUCTED];
    if (hint === undefined) return constructing;
    const { clock, log, spec } = this.#options;
    const timer = clock.setTimer(LONG_CONSTRUCTION_MS, () => log.warn(`Replica ${spec.replicaId}: ${hint}`));
    try {
      return await constructing;
    } finally {
      timer.cancel();
    }
  }

  /** Says what holds until it is said anew. */
  #announce(message: Announcement): void {
    this.#announced.set(message.type, message);
    this.#options.send(message);
  }

  #reside<T>(fn: () => Promise<T>): Promise<T> {
    return this.#options.residence.run(this.replica.identity, fn);
  }
}
