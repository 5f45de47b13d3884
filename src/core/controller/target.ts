import type { LiveOptions } from "../contracts/control-messages.ts";
import { HandleReference, type DeploymentSpec, type ReplicaSpec } from "../deployment/spec.ts";
import { structurallyEqual } from "../deployment/structural-equality.ts";
import { compareSpecs } from "../deployment/version.ts";

/** What one deployment should be: immutable, replaced whole by each deploy. */
export interface DeploymentTarget {
  readonly app: string;
  readonly spec: DeploymentSpec;
  /**
   * Replicas of another generation are replaced. A number of our own and not `codeVersion`, because a user may keep
   * an explicit `version` while the code changes.
   */
  readonly generation: number;
  /** Replicas that were told another one are told this one's `userConfig`. */
  readonly configuration: number;
  readonly replicas: number;
  /** Deployments of the same application that a replica holds handles to: they must outlive it. */
  readonly callees: readonly string[];
}

/**
 * Makes the target for `spec`, with the generation of the first of `known` whose replicas can serve it: so going back
 * to a version that still runs replaces nothing. A new generation or configuration gets `unused`, which no earlier
 * target may have had: replicas of it may still be there.
 */
export function nextTarget(
  spec: DeploymentSpec,
  from: { app: string; known: readonly DeploymentTarget[]; unused: number },
): DeploymentTarget {
  const kin = from.known.find((target) => compareSpecs(target.spec, spec) !== "replace");
  const configured = from.known.find((target) =>
    structurallyEqual(target.spec.options.userConfig, spec.options.userConfig),
  );
  return {
    app: from.app,
    spec,
    generation: kin?.generation ?? from.unused,
    configuration: configured?.configuration ?? from.unused,
    replicas: spec.options.numReplicas,
    callees: calleesOf(from.app, spec.initArgs),
  };
}

/** The options that a running replica of this target must know. */
export function liveOptionsOf(target: DeploymentTarget): LiveOptions {
  const { options } = target.spec;
  return {
    maxOngoingRequests: options.maxOngoingRequests,
    gracefulShutdownWaitLoopMs: options.gracefulShutdownWaitLoopMs,
    gracefulShutdownTimeoutMs: options.gracefulShutdownTimeoutMs,
    worldSize: target.replicas,
  };
}

/** What an engine needs to start one replica of this target. */
export function replicaSpecOf(
  target: DeploymentTarget,
  own: { replicaId: string; rank: number; nodeId: string },
): ReplicaSpec {
  const { spec } = target;
  return {
    ...own,
    app: target.app,
    deployment: spec.name,
    kind: spec.kind,
    answersHttp: spec.answersHttp,
    code: spec.code,
    codeDigest: spec.codeDigest,
    target: spec.target,
    initArgs: spec.initArgs,
    options: spec.options,
    worldSize: target.replicas,
    codeVersion: spec.options.version ?? String(target.generation),
  };
}

/** The deployments of an application to which its arguments hold handles. */
export function calleesOf(app: string, initArgs: readonly unknown[]): readonly string[] {
  const found = new Set<string>();
  const seen = new Set<object>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || seen.has(value)) return;
    seen.add(value);
    if (value instanceof HandleReference) {
      if (value.app === app) found.add(value.deployment);
      return;
    }
    Object.values(value).forEach(visit);
  };
  visit(initArgs);
  return [...found];
}
