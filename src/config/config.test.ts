import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { ConfigError } from "../core/errors.ts";
import { checkConfig } from "./check-config.ts";
import { isConfigFile, readConfigFile, withKeyTexts } from "./config-file.ts";
import { parseConfig } from "./config-text.ts";
import type { InvalidConfigError } from "./problem.ts";

const app = { importPath: "./app.ts:app" };

function problemsOf(check: () => unknown): readonly { path: string; message: string }[] {
  try {
    check();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).name).toBe("ConfigError");
    return (error as InvalidConfigError).problems;
  }
  throw new Error("Nothing was wrong.");
}
const pathsOf = (check: () => unknown): string[] => problemsOf(check).map(({ path }) => path);
const wrong = (value: unknown): string[] => pathsOf(() => checkConfig(value));

describe("operations F1 to F4", () => {
  it("fills in names and prefixes and keeps the rest as it is", () => {
    const deployments = [{ name: "Model", numReplicas: "auto" as const, userConfig: { some_key: 1 } }];
    const { config, warnings } = checkConfig({
      applications: [{ ...app, args: { a_b: 1 }, env: { A_B: "1" }, deployments }],
    });
    expect(config).toEqual({
      applications: [
        {
          name: "default",
          routePrefix: "/",
          importPath: "./app.ts:app",
          args: { a_b: 1 },
          env: { A_B: "1" },
          deployments,
        },
      ],
    });
    expect(warnings).toEqual([]);
  });

  it("F3: unknown keys warn, with their path and the nearest name", () => {
    const { config, warnings } = checkConfig({
      applications: [{ ...app, deployments: [{ name: "M", numReplica: 2 }] }],
      htpp: 1,
    });
    expect(config.applications[0]!.deployments).toEqual([{ name: "M" }]);
    expect(warnings).toEqual([
      'applications[0].deployments[0].numReplica is not known and is ignored. Did you mean "numReplicas"?',
      'htpp is not known and is ignored. Did you mean "http"?',
    ]);
  });

  it("F4: everything that is wrong is told at once", () => {
    expect(
      wrong({
        http: { port: 70_000, keepAliveTimeoutMs: 0 },
        applications: [
          { name: "", importPath: "a:" },
          { routePrefix: "/a/", importPath: "", host: "h" },
          {
            deployments: [{ numReplicas: 0, maxQueuedRequests: 0, backpressure: { statusCode: 500 }, isolation: "vm" }],
          },
        ],
      }).toSorted(),
    ).toEqual([
      "applications[0].importPath",
      "applications[0].name",
      "applications[1].host",
      "applications[1].importPath",
      "applications[1].routePrefix",
      "applications[2].deployments[0].backpressure.statusCode",
      "applications[2].deployments[0].isolation",
      "applications[2].deployments[0].maxQueuedRequests",
      "applications[2].deployments[0].name",
      "applications[2].deployments[0].numReplicas",
      "applications[2].importPath",
      "http.keepAliveTimeoutMs",
      "http.port",
    ]);
  });

  it("F4: names and prefixes are unique, applications are needed, and options must fit each other", () => {
    expect(wrong({})).toEqual(["applications"]);
    expect(wrong([])).toEqual(["", "applications"]);
    expect(wrong({ applications: [], http: [] })).toEqual(["http"]);
    expect(wrong({ applications: [app, app] })).toEqual(["applications[1].name", "applications[1].routePrefix"]);
    expect(
      wrong({
        applications: [app, { ...app, name: "b", routePrefix: null }, { ...app, name: "c", routePrefix: null }],
        http: { tls: { key: "k" } },
      }),
    ).toEqual(["http.tls"]);
    expect(
      wrong({
        applications: [{ ...app, deployments: [{ name: "M", numReplicas: 2, autoscaling: {} }, { name: "M" }] }],
      }),
    ).toEqual(["applications[0].deployments[0].numReplicas", "applications[0].deployments[1].name"]);
    expect(
      wrong({
        applications: [{ ...app, deployments: [{ name: "M", autoscaling: { minReplicas: 3, maxReplicas: 2 } }] }],
      }),
    ).toEqual(["applications[0].deployments[0].autoscaling.maxReplicas"]);
  });

  it("says what is wanted and what is there", () => {
    const [problem] = problemsOf(() =>
      checkConfig({ applications: [{ ...app, deployments: [{ name: "M", maxOngoingRequests: "many" }] }] }),
    );
    expect(problem!.message).toBe(
      'applications[0].deployments[0].maxOngoingRequests must be an integer of at least 1, not "many".',
    );
  });
});

describe("operations F2, Ray Serve's file", () => {
  it("is read key by key", () => {
    const { config, warnings } = parseConfig(RAY_FILE, "ray.yaml");
    expect(config).toEqual({
      http: { host: "0.0.0.0", port: 8000, requestTimeoutMs: 30_000, keepAliveTimeoutMs: 5_000 },
      logging: { level: "debug", encoding: "json", accessLog: true },
      applications: [
        {
          name: "fruit",
          routePrefix: "/fruit",
          importPath: "fruit:app",
          env: { SOME_KEY: "1" },
          args: { model_id: "x" },
          deployments: [
            {
              name: "MangoStand",
              numReplicas: 2,
              maxOngoingRequests: 7,
              maxQueuedRequests: -1,
              userConfig: { price_in_s: 3 },
              gracefulShutdownTimeoutMs: 20_000,
              gracefulShutdownWaitLoopMs: 2_500,
              healthCheckPeriodMs: 10_000,
              resources: { cpus: 0.5, gpus: 1, memoryMb: 512, custom: { a100_x: 1 } },
              requestRouter: { policy: "power-of-two-choices", stats: { periodMs: 1_500 } },
            },
            {
              name: "OrangeStand",
              numReplicas: "auto",
              autoscaling: {
                minReplicas: 1,
                maxReplicas: 4,
                targetOngoingRequests: 2,
                upscaleDelayMs: 3_000,
                lookBackPeriodMs: 2_500,
              },
            },
          ],
        },
      ],
    });
    expect(warnings.map((warning) => warning.split(" is ")[0])).toEqual([
      "ray.yaml:2:17: proxy_location",
      "ray.yaml:4:15: grpc_options",
      "ray.yaml:10:54: applications[0].runtime_env.pip",
      "ray.yaml:12:30: applications[0].external_scaler_enabled",
      "ray.yaml:18:32: applications[0].deployments[0].max_replicas_per_node",
    ]);
  });

  it("both spellings of one key are an error, and errors name keys as they were written", () => {
    expect(wrong({ applications: [{ ...app, import_path: "b" }] })).toEqual(["applications[0].import_path"]);
    expect(
      wrong({ applications: [{ import_path: "a:b", deployments: [{ name: "M", max_ongoing_requests: 0 }] }] }),
    ).toEqual(["applications[0].deployments[0].max_ongoing_requests"]);
    expect(
      wrong({ applications: [{ import_path: "a:b", deployments: [{ name: "M", health_check_period_s: -1 }] }] }),
    ).toEqual(["applications[0].deployments[0].health_check_period_s"]);
  });
});

describe("operations F8, files", () => {
  const folder = (): string => {
    const path = mkdtempSync(join(tmpdir(), "heliostat-config-"));
    onTestFinished(() => rmSync(path, { recursive: true }));
    return path;
  };

  it("F3: errors have file, line and column", () => {
    const messages = problemsOf(() =>
      parseConfig(
        "applications:\n  - name: a\n    import_path: ./a.ts\n    deployments:\n      - name: M\n        num_replicas: -1\n  - name: b\n",
        "x.yaml",
      ),
    ).map(({ message }) => message);
    expect(messages).toEqual([
      'x.yaml:6:23: applications[0].deployments[0].num_replicas must be an integer of at least 1 or "auto", not -1.',
      "x.yaml:7:5: applications[1].importPath is missing: it must be MODULE or MODULE:EXPORT, such as ./app.ts:app.",
    ]);
    expect(problemsOf(() => parseConfig("a: [1\nb: 2", "x.yaml"))[0]!.message).toMatch(/^x\.yaml:2:1: /);
    expect(problemsOf(() => parseConfig("a: 1\na: 2", "x.yaml"))[0]!.message).toMatch(
      /^x\.yaml:2:1: Map keys must be unique/,
    );
    expect(pathsOf(() => parseConfig("", "x.yaml"))).toEqual(["applications"]);
  });

  it("an alias that would grow beyond all bounds is refused", () => {
    const lines = Array.from(
      { length: 9 },
      (_value, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(",")}]`,
    );
    expect(problemsOf(() => parseConfig(`a0: &a0 x\n${lines.join("\n")}`, "x.yaml"))[0]!.message).toContain("alias");
  });

  it("YAML, JSON and modules are the same, with paths from their folder", async () => {
    const directory = folder();
    const file = (name: string, text: string): string => {
      writeFileSync(join(directory, name), text);
      return join(directory, name);
    };
    const names = [
      file("a.yaml", "applications: [{ importPath: 'app.ts:app' }]"),
      file("b.json", '{"applications": [{"importPath": "./app.ts:app"}]}'),
      file("c.config.ts", "export default { applications: [{ importPath: './app.ts:app' }] };"),
    ];
    for (const name of names) {
      expect(isConfigFile(name)).toBe(true);
      expect((await readConfigFile(name)).config.applications[0]!.importPath).toBe(`${join(directory, "app.ts")}:app`);
    }
    expect(isConfigFile("app.ts")).toBe(false);
    await expect(readConfigFile(join(directory, "none.yaml"))).rejects.toThrow(
      `There is no file ${join(directory, "none.yaml")}`,
    );
    await expect(readConfigFile(file("d.config.ts", "export const a = 1;"))).rejects.toThrow("has no default export");
    await expect(readConfigFile(file("e.config.ts", "throw new Error('mine');"))).rejects.toThrow("mine");
    await expect(readConfigFile(join(directory, "none.config.ts"))).rejects.toThrow("There is no file");
  });

  it("H14: keys and certificates may be files", async () => {
    const directory = folder();
    writeFileSync(join(directory, "key.pem"), "-----BEGIN PRIVATE KEY-----");
    writeFileSync(
      join(directory, "x.yaml"),
      "http: { tls: { key: key.pem, cert: '-----BEGIN CERTIFICATE-----' } }\napplications: []",
    );
    const { config } = await readConfigFile(join(directory, "x.yaml"));
    expect(await withKeyTexts(config.http!)).toEqual({
      tls: { key: "-----BEGIN PRIVATE KEY-----", cert: "-----BEGIN CERTIFICATE-----" },
    });
    rmSync(join(directory, "key.pem"));
    await expect(withKeyTexts(config.http!)).rejects.toMatchObject({ path: "http.tls.key" });
  });
});

const RAY_FILE = `
proxy_location: EveryNode
http_options: { host: 0.0.0.0, port: 8000, request_timeout_s: 30, keep_alive_timeout_s: 5 }
grpc_options: { port: 9000 }
logging_config: { log_level: DEBUG, encoding: JSON, enable_access_log: true }
applications:
  - name: fruit
    route_prefix: /fruit
    import_path: fruit:app
    runtime_env: { env_vars: { SOME_KEY: "1" }, pip: [x] }
    args: { model_id: x }
    external_scaler_enabled: false
    deployments:
      - name: MangoStand
        num_replicas: 2
        max_ongoing_requests: 7
        max_queued_requests: -1
        max_replicas_per_node: 1
        user_config: { price_in_s: 3 }
        graceful_shutdown_timeout_s: 20.0
        graceful_shutdown_wait_loop_s: 2.5
        health_check_period_s: 10
        autoscaling_config: null
        ray_actor_options: { num_cpus: 0.5, num_gpus: 1, memory: 536870912, resources: { a100_x: 1 } }
        request_router_config:
          request_router_class: ray.serve._private.request_router:PowerOfTwoChoicesRequestRouter
          request_routing_stats_period_s: 1.5
      - name: OrangeStand
        num_replicas: auto
        autoscaling_config: { min_replicas: 1, max_replicas: 4, target_ongoing_requests: 2, upscale_delay_s: 3, look_back_period_s: 2.5 }
`;
