import type { ServeStatus } from "../serve-types.ts";
import type { ApplicationState } from "./application-state.ts";
import type { DeploymentState } from "./deployment-state.ts";
import { applicationStatus } from "./status.ts";

type ApplicationReport = ServeStatus["applications"][string];
type DeploymentReport = ApplicationReport["deployments"][string];

/** A replica that has been starting for longer is mentioned in the status. */
const SLOW_START_MS = 30_000;

/** What the state itself does not know. */
export interface ReportContext {
  readonly nowMs: number;
  readonly nodeId: string;
  pidOf(replicaId: string): number | undefined;
}

/** The status of one application, as people read it. */
export function reportApplication(app: ApplicationState, context: ReportContext): ApplicationReport {
  const states = [...app.deployments.values()];
  const status = applicationStatus(
    app.phase,
    // A failed deploy counts although the deployment that failed may be gone.
    app.failure === undefined ? states.map((state) => state.status) : ["DEPLOY_FAILED"],
  );
  const messages = states.map((state) => state.message).filter((message) => message !== "");
  return {
    status,
    message: app.failure?.message ?? messages.join("\n"),
    routePrefix: app.spec.routePrefix,
    deployments: Object.fromEntries(states.map((state) => [state.target.spec.name, reportDeployment(state, context)])),
  };
}

function reportDeployment(state: DeploymentState, context: ReportContext): DeploymentReport {
  return {
    status: state.status,
    message: [state.message, progressOf(state, context.nowMs)].filter((text) => text !== "").join("; "),
    targetReplicas: state.mode === "serving" ? state.target.replicas : 0,
    replicas: state.replicas.map((replica) => ({
      replicaId: replica.replicaId,
      state: replica.state,
      pid: context.pidOf(replica.replicaId),
      nodeId: context.nodeId,
      startedAt: new Date(replica.startedWallMs),
    })),
  };
}

function progressOf(state: DeploymentState, nowMs: number): string {
  const slow = state.replicas.find(
    (replica) => replica.state === "STARTING" && nowMs - replica.startedMs > SLOW_START_MS,
  );
  return slow === undefined
    ? ""
    : `replica ${slow.replicaId} has been starting for ${Math.round((nowMs - slow.startedMs) / 1_000)} s`;
}
