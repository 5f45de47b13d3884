import { toRayApplication, toRayDeployment, toRayHttp } from "../config/ray-config.ts";
import type { DeploymentStatus } from "../core/serve-types.ts";
import { applyConfig, deleteAll, ok } from "./admin-routes.ts";
import type { AdminApplication, AdminService } from "./admin-service.ts";
import type { AdminRoute } from "./route.ts";

/** Whose command line works against an instance. */
const RAY_VERSION = "2.60.0";
const PATH = "/api/serve/applications";

type Deployment = AdminApplication["deployments"][string];

/**
 * The interface in Ray Serve's schema, with its status codes, so that its `serve status`, `deploy`, `config` and
 * `shutdown` work against an instance.
 */
export const rayRoutes: readonly AdminRoute[] = [
  {
    method: "GET",
    path: PATH,
    summary: "What runs, in Ray Serve's schema.",
    answers: { 200: "Ray Serve's ServeInstanceDetails." },
    run: ({ service }) => ok(instanceDetails(service)),
  },
  {
    method: "PUT",
    path: PATH,
    summary: "Makes a configuration the whole goal, with Ray Serve's status codes.",
    body: { type: "object", description: "Ray Serve's ServeDeploySchema.", required: ["applications"] },
    answers: { 200: "Accepted; it is being done.", 400: "It is wrong, and nothing was changed." },
    run: (call) => applyConfig(call, 200),
  },
  {
    method: "DELETE",
    path: PATH,
    summary: "Deletes every application. The instance stays.",
    answers: { 200: "They are gone." },
    run: deleteAll,
  },
  {
    method: "GET",
    path: "/api/ray/version",
    summary: "The version of Ray whose command line works against this.",
    answers: { 200: "Versions." },
    run: () => ok({ version: "4", ray_version: RAY_VERSION, ray_commit: "", session_name: "heliostat" }),
  },
];

function instanceDetails(service: AdminService): object {
  const { applications, proxies } = service.status();
  const { pid, httpUrl } = service.describe();
  // By it its command line tells an instance from nothing.
  const node = proxies[0]?.nodeId ?? "local";
  return {
    controller_info: { ...actor(node, pid), actor_name: "SERVE_CONTROLLER_ACTOR" },
    proxy_location: "HeadOnly",
    http_options: toRayHttp({ ...service.config().http, ...addressOf(httpUrl) }),
    grpc_options: null,
    // One for each node: a process that serves speaks for those that do not.
    proxies: Object.fromEntries(
      proxies
        .toSorted((a, b) => Number(a.status === "HEALTHY") - Number(b.status === "HEALTHY"))
        .map((proxy) => [proxy.nodeId, { ...actor(proxy.nodeId, proxy.pid), status: proxy.status }]),
    ),
    applications: Object.fromEntries(
      Object.entries(applications).map(([name, app]) => [name, applicationDetails(app)]),
    ),
    target_capacity: null,
  };
}

function applicationDetails(app: AdminApplication): object {
  return {
    name: app.name,
    route_prefix: app.routePrefix,
    docs_path: null,
    status: app.status,
    message: app.message,
    last_deployed_time_s: app.deployedAt.getTime() / 1_000,
    deployed_app_config: toRayApplication(app.deployedConfig),
    source: app.source,
    external_scaler_enabled: false,
    deployments: Object.fromEntries(
      Object.entries(app.deployments).map(([name, deployment]) => [name, deploymentDetails(name, deployment, app)]),
    ),
  };
}

function deploymentDetails(name: string, deployment: Deployment, app: AdminApplication): object {
  const { status, message, targetReplicas, replicas } = deployment;
  const override = app.deployedConfig.deployments?.find((each) => each.name === name) ?? { name };
  const isCounted = override.numReplicas === undefined && override.autoscaling === undefined && targetReplicas > 0;
  return {
    name,
    status,
    status_trigger: TRIGGERS[status],
    message,
    deployment_config: toRayDeployment(isCounted ? { ...override, numReplicas: targetReplicas } : override),
    target_num_replicas: targetReplicas,
    required_resources: {},
    replicas: replicas.map(({ replicaId, state, pid, nodeId, startedAt }) => ({
      ...actor(nodeId, pid),
      replica_id: replicaId,
      state,
      pid: pid ?? null,
      start_time_s: startedAt.getTime() / 1_000,
    })),
  };
}

/** Why a deployment is in its state, as far as the state itself tells. */
const TRIGGERS: Readonly<Record<DeploymentStatus, string>> = {
  UPDATING: "CONFIG_UPDATE_STARTED",
  HEALTHY: "CONFIG_UPDATE_COMPLETED",
  UNHEALTHY: "HEALTH_CHECK_FAILED",
  DEPLOY_FAILED: "REPLICA_STARTUP_FAILED",
  UPSCALING: "AUTOSCALING",
  DOWNSCALING: "AUTOSCALING",
};

function actor(nodeId: string, pid: number | undefined): object {
  return {
    node_id: nodeId,
    node_ip: "127.0.0.1",
    node_instance_id: null,
    actor_id: pid === undefined ? null : String(pid),
    actor_name: null,
    worker_id: null,
    log_file_path: null,
  };
}

/** Where HTTP is served, whatever was asked for. */
function addressOf(url: string | undefined): { host?: string; port?: number } {
  if (url === undefined) return {};
  const { hostname, port, protocol } = new URL(url);
  return { host: hostname, port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port) };
}
