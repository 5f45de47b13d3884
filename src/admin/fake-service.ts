import { ConfigError } from "../core/errors.ts";
import { notFound } from "./reply.ts";
import type { ApplicationConfig, CheckedConfig } from "../config/check-config.ts";
import type { AdminService, LogQuery } from "./admin-service.ts";

/** A service that does nothing but remember; application "shop" runs on it. */
export class FakeService implements AdminService {
  readonly applied: CheckedConfig[] = [];
  readonly one: ApplicationConfig[] = [];
  readonly scaled: (readonly [app: string, deployment: string, target: number])[] = [];
  readonly asked: { readonly query: LogQuery; readonly signal: AbortSignal }[] = [];
  written: AsyncIterable<string> = (async function* () {
    yield "one\n";
    yield "two\n";
  })();
  deletions = 0;
  shutdowns = 0;
  /** What deleting everything waits for. */
  deleted: Promise<void> = Promise.resolve();
  shop: ApplicationConfig = {
    name: "shop",
    routePrefix: "/shop",
    importPath: "/srv/shop.ts:app",
    env: { KEY: "v" },
    args: { someSize: 3 },
    deployments: [
      {
        name: "Model",
        numReplicas: 2,
        healthCheckPeriodMs: 1_500,
        userConfig: { topK: 3 },
        resources: { memoryMb: 64, cpus: 0.5 },
        backpressure: { statusCode: 429 },
        requestRouter: { policy: "round-robin", stats: { periodMs: 5_000 } },
        logging: { level: "warn" },
        env: { DEEP: "1" },
      },
    ],
  };

  status(): ReturnType<AdminService["status"]> {
    return {
      applications: {
        shop: {
          name: "shop",
          source: "declarative",
          status: "RUNNING",
          message: "",
          routePrefix: "/shop",
          deployedConfig: this.shop,
          deployedAt: new Date(1_000_250),
          deployments: {
            Model: {
              status: "HEALTHY",
              message: "",
              targetReplicas: 2,
              replicas: [
                { replicaId: "Model#0", state: "RUNNING", pid: 41, nodeId: "local", startedAt: new Date(1_000_500) },
              ],
            },
          },
        },
      },
      proxies: [
        { nodeId: "local", url: "http://127.0.0.1:8000", pid: 40, status: "HEALTHY" },
        { nodeId: "local", url: "http://127.0.0.1:8000", pid: 41, status: "STARTING" },
      ],
    };
  }

  describe(): ReturnType<AdminService["describe"]> {
    return {
      version: "1.2.3",
      pid: 40,
      httpUrl: "http://127.0.0.1:8000",
      runtimeDirectory: "/run/x",
      stateDirectory: "/var/x",
    };
  }

  config(): CheckedConfig {
    return { http: { requestTimeoutMs: 1_500 }, applications: [this.shop] };
  }

  apply(config: CheckedConfig): readonly string[] {
    this.applied.push(config);
    return ["http.port has no effect."];
  }

  applyOne(application: ApplicationConfig): readonly string[] {
    if (application.routePrefix === "/shop")
      throw new ConfigError(`"/shop" is taken by application "shop".`, { path: "routePrefix" });
    this.one.push(application);
    return [];
  }

  delete(name: string): boolean {
    return name === "shop";
  }

  async deleteAll(): Promise<void> {
    await this.deleted;
    this.deletions++;
  }

  scale(app: string, deployment: string, target: number): boolean {
    if (app !== "shop" || deployment !== "Model") return false;
    this.scaled.push([app, deployment, target]);
    return true;
  }

  decisions(app: string, deployment: string): ReturnType<AdminService["decisions"]> {
    if (app !== "shop" || deployment !== "Model") return undefined;
    return [{ at: new Date(1_000), deployment, replicaId: "Model#0", action: "start", reason: "a replica is missing" }];
  }

  logs(query: LogQuery, signal: AbortSignal): AsyncIterable<string> {
    if (query.app === "none") throw notFound(`There is no application "none".`);
    this.asked.push({ query, signal });
    return this.written;
  }

  async metrics(): Promise<string> {
    return "heliostat_up 1\n";
  }

  shutdown(): void {
    this.shutdowns++;
  }
}
