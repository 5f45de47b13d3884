import type { LiveOptions } from "../contracts/control-messages.ts";
import type { ReplicaAddress } from "../router/snapshot.ts";
import type { DeploymentStatus } from "../serve-types.ts";
import type { RankFailures } from "./backoff.ts";
import type { Failure } from "./failure.ts";
import type { Health } from "./health.ts";
import { nextStatus } from "./status.ts";
import type { DeploymentTarget } from "./target.ts";

/** A replica that could not be made ready ends by itself; if it does not within this time, it is killed. */
export const EXIT_TIMEOUT_MS = 1_000;

interface ReplicaFields {
  readonly replicaId: string;
  readonly rank: number;
  readonly generation: number;
  readonly callees: readonly string[];
  readonly startedMs: number;
  readonly startedWallMs: number;
  /** What it knows, or will once it has answered. */
  readonly told: { readonly live: LiveOptions; readonly configuration: number };
}

/** A replica whose process was started and that has not said `ready`. */
export interface StartingReplica extends ReplicaFields {
  readonly state: "STARTING";
}

/**
 * A replica that takes requests. `UPDATING`: it was told new options and has not answered. `RECOVERING`: a controller
 * before this one has started it, and it has not come back yet.
 *
 * An updating replica keeps its place in the routing: were it left out, a deployment of one would have none, and every
 * caller would break its connection only to make it again.
 */
export interface ServingReplica extends ReplicaFields {
  readonly state: "RUNNING" | "UPDATING" | "RECOVERING";
  readonly address: ReplicaAddress;
  /** What its instance can be asked, fields that hold a function included. */
  readonly methods: readonly string[];
  readonly modelIds: readonly string[];
  /** For routing policies, as last told. */
  readonly stats: Readonly<Record<string, unknown>>;
  readonly readyMs: number;
  readonly health: Health;
  /** How often it was told new options; the id of the last telling. */
  readonly tellings: number;
  readonly condition: Condition;
}

/** `worn`: serves until its successor runs. `sick`: leaves at once, `hung` without a chance to drain. */
export type Condition =
  | { readonly kind: "fit" }
  | { readonly kind: "worn"; readonly reason: string }
  | { readonly kind: "sick"; readonly hung: boolean; readonly reason: string };

/** A replica that was told to stop, or that said it would. */
export interface StoppingReplica extends ReplicaFields {
  readonly state: "STOPPING";
  readonly killAtMs: number;
  readonly killed: boolean;
}

/**
 * One replica as the controller knows it; when its process is gone, so is the record.
 *
 * ```
 * STARTING ─ready─► RUNNING ⇄ UPDATING      any ─► STOPPING ─► (gone)
 * RECOVERING ───────► RUNNING
 * ```
 */
export type ReplicaRecord = StartingReplica | ServingReplica | StoppingReplica;

/**
 * What is done about a deployment.
 *
 * - `serving`: its replicas are brought to the target.
 * - `lingering`: it will stop when no replica that calls it is left; none is started or replaced.
 * - `stopping`: its replicas drain.
 */
export type DeploymentMode = "serving" | "lingering" | "stopping";

/** Everything known about one deployment: its target and what was observed. Immutable. */
export interface DeploymentState {
  readonly target: DeploymentTarget;
  readonly mode: DeploymentMode;
  /** In the order of their start. */
  readonly replicas: readonly ReplicaRecord[];
  readonly failuresByRank: ReadonlyMap<number, RankFailures>;
  /** Generations of which a replica has run: these are never given up. */
  readonly ranGenerations: ReadonlySet<number>;
  /** Whether a replica of any generation has run. */
  readonly hasRun: boolean;
  /** Failed starts of a generation that never ran. */
  readonly startFailures: number;
  readonly lastFailure: Failure | undefined;
  /** The target cannot be reached: nothing is started until there is another one. */
  readonly gaveUp: boolean;
  /** The target is the one before a failed update, whose failure the status still shows. */
  readonly rolledBack: boolean;
  readonly status: DeploymentStatus;
  readonly message: string;
}

/** A deployment of which nothing runs yet. */
export function newDeployment(target: DeploymentTarget): DeploymentState {
  return {
    target,
    mode: "serving",
    replicas: [],
    failuresByRank: new Map(),
    ranGenerations: new Set(),
    hasRun: false,
    ...freshAttempt,
    status: "UPDATING",
    message: "",
  };
}

/** Gives a deployment another target, and every rank a fresh chance. */
export function retarget(state: DeploymentState, target: DeploymentTarget): DeploymentState {
  const inUse = new Set([target.generation, ...state.replicas.map((replica) => replica.generation)]);
  return {
    ...state,
    ...freshAttempt,
    target,
    mode: "serving",
    failuresByRank: new Map(),
    // Only what is in use is kept, or a long life with many deploys would grow.
    ranGenerations: new Set([...state.ranGenerations].filter((generation) => inUse.has(generation))),
    status: nextStatus(state.status, triggerOf(state.target, target)),
    message: "",
  };
}

/** Goes back to a target that once was reached, because an update failed; the failure stays in the status of the deployment that had it. */
export function rollBack(state: DeploymentState, target: DeploymentTarget): DeploymentState {
  const failed = state.gaveUp;
  if (!failed && state.target === target) return state;
  const back = retarget(state, target);
  return {
    ...back,
    rolledBack: true,
    ranGenerations: new Set([...back.ranGenerations, target.generation]),
    ...(failed ? { lastFailure: state.lastFailure, status: state.status, message: state.message } : {}),
  };
}

export function isServing(replica: ReplicaRecord): replica is ServingReplica {
  return replica.state !== "STARTING" && replica.state !== "STOPPING";
}

/** The state with a newer record in the place of the older one. */
export function withReplica(state: DeploymentState, replica: ReplicaRecord): DeploymentState {
  return { ...state, replicas: state.replicas.map((each) => (each.replicaId === replica.replicaId ? replica : each)) };
}

/** What a replica is from when it says that it serves. */
export function servingReplica(
  replica: ReplicaRecord,
  { address, methods }: Pick<ServingReplica, "address" | "methods">,
  { health, nowMs }: { readonly health: Health; readonly nowMs: number },
): ServingReplica {
  return {
    ...fieldsOf(replica),
    state: "RUNNING",
    address,
    methods,
    modelIds: [],
    stats: {},
    readyMs: nowMs,
    health,
    tellings: 0,
    condition: { kind: "fit" },
  };
}

/** What it is from when it was told to stop: its address must not be routed to again. */
export function stoppingReplica(replica: ReplicaRecord, killAtMs: number, killed = false): StoppingReplica {
  return { ...fieldsOf(replica), state: "STOPPING", killAtMs, killed };
}

/** What every record has. */
export function fieldsOf(replica: ReplicaRecord): ReplicaFields {
  const { replicaId, rank, generation, callees, startedMs, startedWallMs, told } = replica;
  return { replicaId, rank, generation, callees, startedMs, startedWallMs, told };
}

const freshAttempt = { startFailures: 0, lastFailure: undefined, gaveUp: false, rolledBack: false } as const;

function triggerOf(before: DeploymentTarget, after: DeploymentTarget) {
  if (before.generation !== after.generation || before.configuration !== after.configuration) return "deploy";
  if (before.replicas < after.replicas) return "upscale";
  if (before.replicas > after.replicas) return "downscale";
  return "deploy";
}
