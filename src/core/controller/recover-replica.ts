import type { ReplicaReport } from "../contracts/control-messages.ts";
import type { ReplicaSpec } from "../deployment/spec.ts";
import { structurallyEqual } from "../deployment/structural-equality.ts";
import type { ReplicaAddress } from "../router/snapshot.ts";
import {
  EXIT_TIMEOUT_MS,
  fieldsOf,
  servingReplica,
  stoppingReplica,
  withReplica,
  type DeploymentState,
  type ReplicaRecord,
} from "./deployment-state.ts";
import { newHealth } from "./health.ts";
import { calleesOf, liveOptionsOf, type DeploymentTarget } from "./target.ts";

/** A replica that a controller before this one has started, and whose process runs. */
export interface FoundReplica {
  /** What it was started with. */
  readonly spec: ReplicaSpec;
  readonly startedWallMs: number;
  /** Where it serves; undefined if it has not begun to. */
  readonly address: ReplicaAddress | undefined;
}

/** A replica that has not come back by then is taken for hung. As long as user code may block a replica without harm. */
export const RECOVERY_MS = 30_000;

/** No configuration has this number. */
const ANOTHER = -1;

/**
 * The record of a replica that was found, before it has said anything. One that served goes on being called: its callers
 * did not stop meanwhile either.
 */
export function foundRecord(
  found: FoundReplica,
  context: { readonly target: DeploymentTarget; readonly generation: number; readonly nowMs: number },
): ReplicaRecord {
  const { spec, startedWallMs, address } = found;
  const { target, generation, nowMs } = context;
  const fields = {
    replicaId: spec.replicaId,
    rank: spec.rank,
    generation,
    callees: calleesOf(spec.app, spec.initArgs),
    startedMs: nowMs,
    startedWallMs,
    // Until it says otherwise: what it does not know it will be told then.
    told: { live: liveOptionsOf(target), configuration: target.configuration },
  };
  const starting: ReplicaRecord = { ...fields, state: "STARTING" };
  if (address === undefined) return starting;
  const missAtMs = nowMs + RECOVERY_MS;
  const health = { kind: "checking", checks: 0, misses: 0, sentAtMs: nowMs, missAtMs } as const;
  return { ...servingReplica(starting, { address, methods: [] }, { health, nowMs }), state: "RECOVERING" };
}

/** It has come back, and says how far it is. */
export function recovered(
  state: DeploymentState,
  replica: ReplicaRecord,
  { report, nowMs }: { readonly report: ReplicaReport; readonly nowMs: number },
): DeploymentState {
  if (replica.state !== "RECOVERING" && replica.state !== "STARTING") return state;
  const { ready, isStopping, options: live, userConfig } = report;
  const { options } = state.target.spec;
  const isConfigured = structurallyEqual(userConfig, options.userConfig);
  const told = { live, configuration: isConfigured ? state.target.configuration : ANOTHER };
  if (isStopping) {
    const killAtMs = nowMs + live.gracefulShutdownTimeoutMs + EXIT_TIMEOUT_MS;
    return withReplica(state, stoppingReplica({ ...replica, told }, killAtMs));
  }
  if (ready === undefined) return withReplica(state, { ...fieldsOf(replica), told, state: "STARTING" });
  const health = newHealth(options, nowMs);
  return withReplica(state, servingReplica({ ...replica, told }, ready, { health, nowMs }));
}
