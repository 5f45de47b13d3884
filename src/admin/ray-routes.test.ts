import { afterEach, beforeEach, expect, test } from "vitest";
import { openAdminServer, type AdminServer } from "./admin-server.ts";
import { FakeService } from "./fake-service.ts";

let service: FakeService;
let server: AdminServer;

beforeEach(async () => {
  service = new FakeService();
  server = await openAdminServer({ host: "127.0.0.1", port: 0, service });
});
afterEach(() => server.close());

async function ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
  const response = await fetch(`${server.url}${path}`, {
    method,
    ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}

test("the status has what Ray Serve's schema asks for, and nothing that it forbids", async () => {
  const { status, body } = await ask("GET", "/api/serve/applications/");
  expect(status).toBe(200);
  expect(Object.keys(body).toSorted()).toEqual([
    "applications",
    "controller_info",
    "grpc_options",
    "http_options",
    "proxies",
    "proxy_location",
    "target_capacity",
  ]);
  expect(body.controller_info.node_id).toBe("local");
  expect(body.http_options).toEqual({ host: "127.0.0.1", port: 8000, request_timeout_s: 1.5 });
  expect(body.proxies.local).toMatchObject({ node_id: "local", status: "HEALTHY" });
  const { deployments, deployed_app_config: config, ...shop } = body.applications.shop;
  expect(shop).toEqual({
    name: "shop",
    route_prefix: "/shop",
    docs_path: null,
    status: "RUNNING",
    message: "",
    last_deployed_time_s: 1_000.25,
    source: "declarative",
    external_scaler_enabled: false,
  });
  const model = {
    name: "Model",
    num_replicas: 2,
    health_check_period_s: 1.5,
    user_config: { topK: 3 },
    ray_actor_options: { num_cpus: 0.5, memory: 67_108_864, runtime_env: { env_vars: { DEEP: "1" } } },
    backpressure_config: { status_code: 429 },
    request_router_config: {
      request_router_class: "ray.serve.experimental.round_robin_router:RoundRobinRouter",
      request_routing_stats_period_s: 5,
    },
    logging_config: { log_level: "WARNING" },
  };
  expect(config).toEqual({
    name: "shop",
    route_prefix: "/shop",
    import_path: "/srv/shop.ts:app",
    args: { someSize: 3 },
    runtime_env: { env_vars: { KEY: "v" } },
    deployments: [model],
  });
  expect(deployments.Model).toMatchObject({
    name: "Model",
    status: "HEALTHY",
    status_trigger: "CONFIG_UPDATE_COMPLETED",
    deployment_config: model,
    target_num_replicas: 2,
    required_resources: {},
    replicas: [{ replica_id: "Model#0", state: "RUNNING", pid: 41, start_time_s: 1_000.5, node_id: "local" }],
  });
});

test("what it tells of an application deploys the same again", async () => {
  const told = (await ask("GET", "/api/serve/applications")).body.applications.shop.deployed_app_config;
  const { status, body } = await ask("PUT", "/api/serve/applications/", { applications: [told] });
  expect(status).toBe(200);
  expect(body.warnings).toEqual(["http.port has no effect."]);
  expect(service.applied).toEqual([{ applications: [service.shop] }]);
});

test("a number of replicas that only the code gives is told, one that scales is not", async () => {
  const config = async (deployments?: FakeService["shop"]["deployments"]) => {
    const { deployments: _, ...rest } = service.shop;
    service.shop = { ...rest, ...(deployments === undefined ? {} : { deployments }) };
    return (await ask("GET", "/api/serve/applications")).body.applications.shop.deployments.Model.deployment_config;
  };
  expect(await config()).toEqual({ name: "Model", num_replicas: 2 });
  expect(await config([{ name: "Model", autoscaling: { minReplicas: 1 }, userConfig: 3 }])).toEqual({
    name: "Model",
    autoscaling_config: { min_replicas: 1 },
  });
});

test("its other routes", async () => {
  expect(await ask("GET", "/api/ray/version")).toMatchObject({ status: 200, body: { ray_version: "2.60.0" } });
  expect(await ask("PUT", "/api/serve/applications/", { applications: 3 })).toMatchObject({
    status: 400,
    body: { error: { name: "ConfigError", path: "applications" } },
  });
  expect((await ask("DELETE", "/api/serve/applications/")).status).toBe(200);
  expect(service.deletions).toBe(1);
});
