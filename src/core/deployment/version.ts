import type { ResolvedOptions } from "./options.ts";
import type { DeploymentSpec } from "./spec.ts";
import { structurallyEqual } from "./structural-equality.ts";

/**
 * What a change asks of the replicas that run.
 *
 * - `none`: nothing has changed.
 * - `light`: nothing; only the controller or the callers use it.
 * - `reconfigure`: they are told, and go on.
 * - `replace`: new ones take their place.
 */
export type UpdateKind = "none" | "light" | "reconfigure" | "replace";

/**
 * How a change of each option is applied; an option that is not listed here does not compile.
 *
 * What a replica reads at its start only, such as its memory limit, replaces it: a process that goes on with the old
 * value would make the status lie.
 */
export const OPTION_UPDATES = {
  numReplicas: "reconfigure",
  maxOngoingRequests: "reconfigure",
  maxQueuedRequests: "light",
  userConfig: "reconfigure",
  autoscaling: "light",
  healthCheckPeriodMs: "light",
  healthCheckTimeoutMs: "light",
  gracefulShutdownWaitLoopMs: "reconfigure",
  gracefulShutdownTimeoutMs: "reconfigure",
  policy: "light",
  routingStats: "replace",
  backpressure: "light",
  rollingUpdatePercentage: "light",
  maxConstructorRetryCount: "light",
  maxMemoryMb: "replace",
  maxRequests: "replace",
  resources: "replace",
  isolation: "replace",
  env: "replace",
  nodeOptions: "replace",
  logging: "replace",
  version: "replace",
} as const satisfies Record<keyof ResolvedOptions, Exclude<UpdateKind, "none">>;

const STRENGTH: Record<UpdateKind, number> = { none: 0, light: 1, reconfigure: 2, replace: 3 };

/**
 * Says what it takes to turn replicas of `before` into replicas of `after`: the strongest of all changes.
 *
 * The class itself counts, not its text: deploying the same class again in one process replaces nothing.
 */
export function compareSpecs(before: DeploymentSpec, after: DeploymentSpec): UpdateKind {
  if (!sameCode(before, after) || !structurallyEqual(before.initArgs, after.initArgs)) return "replace";
  let strongest: UpdateKind = "none";
  for (const option of Object.keys(OPTION_UPDATES) as (keyof ResolvedOptions)[]) {
    if (structurallyEqual(before.options[option], after.options[option])) continue;
    const kind = OPTION_UPDATES[option];
    if (STRENGTH[kind] > STRENGTH[strongest]) strongest = kind;
  }
  return strongest;
}

function sameCode(before: DeploymentSpec, after: DeploymentSpec): boolean {
  return (
    before.target === after.target &&
    before.kind === after.kind &&
    before.codeDigest === after.codeDigest &&
    structurallyEqual(before.code, after.code)
  );
}
