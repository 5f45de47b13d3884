import type { ApplicationSpec, DeploymentSpec } from "../deployment/spec.ts";
import { compareSpecs } from "../deployment/version.ts";
import { deleteApplication, type ApplicationState } from "./application-state.ts";
import { newDeployment, type DeploymentState } from "./deployment-state.ts";
import { foundRecord, type FoundReplica } from "./recover-replica.ts";
import { nextTarget, type DeploymentTarget } from "./target.ts";

/** The number of what is wanted; replicas of anything else are of an older generation. */
const WANTED = 1;
const OLDER = 0;

/**
 * What a controller knows that takes over from one that is gone: what was last reached, and the replicas that are still
 * there. Nothing is given up that has run before.
 */
export function recoverApplication(
  spec: ApplicationSpec,
  found: readonly FoundReplica[],
  nowMs: number,
): ApplicationState {
  const targets = new Map(
    spec.deployments.map((each) => [each.name, nextTarget(each, { app: spec.name, known: [], unused: WANTED })]),
  );
  const deployments = new Map<string, DeploymentState>();
  for (const [name, target] of targets) deployments.set(name, recoverDeployment(target, found, nowMs));
  // Those that were on their way out: they still have callers, perhaps, and then go.
  for (const { spec: replica } of found) {
    if (deployments.has(replica.deployment)) continue;
    const target = nextTarget(specOf(replica), { app: spec.name, known: [], unused: WANTED });
    deployments.set(replica.deployment, { ...recoverDeployment(target, found, nowMs), mode: "lingering" });
  }
  return {
    spec,
    phase: "running",
    deployments,
    reached: { spec, targets },
    failure: undefined,
    deploys: WANTED,
  };
}

/** What is left of an application that had not been reached, or was being deleted: it goes. */
export function recoverLeftovers(name: string, found: readonly FoundReplica[], nowMs: number): ApplicationState {
  const ingress = found[0]!.spec.deployment;
  return deleteApplication(recoverApplication({ name, routePrefix: null, ingress, deployments: [] }, found, nowMs));
}

function recoverDeployment(target: DeploymentTarget, found: readonly FoundReplica[], nowMs: number): DeploymentState {
  const own = found.filter(({ spec }) => spec.deployment === target.spec.name);
  const replicas = own.map((each) => {
    const isWanted = compareSpecs(specOf(each.spec), { ...target.spec, target: undefined }) !== "replace";
    return foundRecord(each, { target, generation: isWanted ? WANTED : OLDER, nowMs });
  });
  return { ...newDeployment(target), replicas, hasRun: true, ranGenerations: new Set([OLDER, WANTED]) };
}

/** What a replica was started from. */
function specOf({ deployment, kind, code, codeDigest, initArgs, options }: FoundReplica["spec"]): DeploymentSpec {
  return { name: deployment, kind, answersHttp: false, code, codeDigest, target: undefined, initArgs, options };
}
