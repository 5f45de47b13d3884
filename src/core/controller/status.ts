import type { ApplicationStatus, DeploymentStatus } from "../serve-types.ts";

/** What changes the status of a deployment. */
export type StatusTrigger =
  /** A new target, other than a number of replicas only. */
  | "deploy"
  | "upscale"
  | "downscale"
  /** Every replica of the target runs and no other serves. */
  | "settled"
  /** A replica that served has crashed or become unhealthy. */
  | "lost"
  /** The target was given up. */
  | "gave-up";

/**
 * The status machine of a deployment: where a trigger is not listed, the status stays.
 *
 * A failed update stays visible until the next deploy, also when the old version is whole again.
 */
export const DEPLOYMENT_TRANSITIONS: Record<DeploymentStatus, Partial<Record<StatusTrigger, DeploymentStatus>>> = {
  UPDATING: { settled: "HEALTHY", "gave-up": "DEPLOY_FAILED" },
  HEALTHY: {
    deploy: "UPDATING",
    upscale: "UPSCALING",
    downscale: "DOWNSCALING",
    lost: "UNHEALTHY",
    "gave-up": "DEPLOY_FAILED",
  },
  UPSCALING: {
    deploy: "UPDATING",
    downscale: "DOWNSCALING",
    settled: "HEALTHY",
    lost: "UNHEALTHY",
    "gave-up": "DEPLOY_FAILED",
  },
  DOWNSCALING: {
    deploy: "UPDATING",
    upscale: "UPSCALING",
    settled: "HEALTHY",
    lost: "UNHEALTHY",
    "gave-up": "DEPLOY_FAILED",
  },
  UNHEALTHY: { deploy: "UPDATING", settled: "HEALTHY", "gave-up": "DEPLOY_FAILED" },
  DEPLOY_FAILED: { deploy: "UPDATING", upscale: "UPDATING", downscale: "UPDATING" },
};

export function nextStatus(status: DeploymentStatus, trigger: StatusTrigger): DeploymentStatus {
  return DEPLOYMENT_TRANSITIONS[status][trigger] ?? status;
}

/** Whether an application is being deployed, was, or is being deleted. */
export type ApplicationPhase = "deploying" | "running" | "deleting";

/** What the worst status among its deployments makes of an application in each phase. */
export const APPLICATION_STATUSES: Record<ApplicationPhase, Record<DeploymentStatus, ApplicationStatus>> = {
  deploying: {
    HEALTHY: "DEPLOYING",
    UPSCALING: "DEPLOYING",
    DOWNSCALING: "DEPLOYING",
    UPDATING: "DEPLOYING",
    UNHEALTHY: "UNHEALTHY",
    DEPLOY_FAILED: "DEPLOY_FAILED",
  },
  running: {
    HEALTHY: "RUNNING",
    UPSCALING: "RUNNING",
    DOWNSCALING: "RUNNING",
    UPDATING: "DEPLOYING",
    UNHEALTHY: "UNHEALTHY",
    DEPLOY_FAILED: "DEPLOY_FAILED",
  },
  deleting: {
    HEALTHY: "DELETING",
    UPSCALING: "DELETING",
    DOWNSCALING: "DELETING",
    UPDATING: "DELETING",
    UNHEALTHY: "DELETING",
    DEPLOY_FAILED: "DELETING",
  },
};

const WORST_LAST: readonly DeploymentStatus[] = [
  "HEALTHY",
  "UPSCALING",
  "DOWNSCALING",
  "UPDATING",
  "UNHEALTHY",
  "DEPLOY_FAILED",
];

/** The status of an application from those of its deployments. */
export function applicationStatus(phase: ApplicationPhase, statuses: readonly DeploymentStatus[]): ApplicationStatus {
  const worst = WORST_LAST.findLast((status) => statuses.includes(status)) ?? "HEALTHY";
  return APPLICATION_STATUSES[phase][worst];
}
