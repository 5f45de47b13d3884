import { expect, it } from "vitest";
import { checkConfig } from "./check-config.ts";
import { parseConfig } from "./config-text.ts";
import type { InvalidConfigError } from "./problem.ts";
import { toRayApplication } from "./ray-config.ts";

function messagesOf(check: () => unknown): string[] {
  try {
    check();
  } catch (error) {
    return (error as InvalidConfigError).problems.map(({ message }) => message);
  }
  throw new Error("Nothing was wrong.");
}
const app = { importPath: "a:b" };

it("F2: durations of a wrong type are errors, and seconds are told as seconds", () => {
  const deployment = { name: "M", graceful_shutdown_timeout_s: "20", health_check_period_s: -1 };
  const router = { request_router_config: { request_routing_stats_period_s: "1" } };
  const check = () => checkConfig({ applications: [{ ...app, deployments: [{ ...deployment, ...router }] }] });
  expect(messagesOf(check).toSorted()).toEqual([
    'applications[0].deployments[0].graceful_shutdown_timeout_s must be a number of at least 0, not "20".',
    "applications[0].deployments[0].health_check_period_s must be a number above 0, not -1.",
    'applications[0].deployments[0].request_router_config.request_routing_stats_period_s must be a number above 0, not "1".',
  ]);
});

it("F2: an environment is where Ray Serve has it, but only once", () => {
  const text = (env: string): string => `applications:
  - import_path: a:b
    ${env}
    runtime_env: { env_vars: { A: "1" }, working_dir: x }
    deployments:
      - name: M
        ray_actor_options: { num_cpus: 1, memory: 0, runtime_env: { env_vars: { B: "2" }, pip: [c] } }
`;
  const { config, warnings } = parseConfig(text("name: a"), "x.yaml");
  expect(config.applications[0]).toMatchObject({
    env: { A: "1" },
    deployments: [{ name: "M", resources: { cpus: 1 }, env: { B: "2" } }],
  });
  expect(config.applications[0]!.deployments![0]!.resources).toEqual({ cpus: 1 });
  expect(warnings).toEqual([
    'x.yaml:4:55: applications[0].runtime_env.working_dir is ignored: "x" means nothing to Node.',
    "x.yaml:7:96: applications[0].deployments[0].ray_actor_options.runtime_env.pip is ignored: an array means nothing to Node.",
  ]);
  expect(messagesOf(() => parseConfig(text("env: {}"), "x.yaml"))).toEqual([
    "x.yaml:4:30: applications[0].runtime_env.env_vars says the same as applications[0].env. Remove one of the two.",
  ]);
  expect(messagesOf(() => checkConfig({ applications: [{ ...app, runtime_env: { env_vars: { A: 1 } } }] }))).toEqual([
    "applications[0].runtime_env.env_vars.A must be a string, not 1.",
  ]);
});

it("F2: Ray Serve's names where only one word differs", () => {
  const { config, warnings } = checkConfig({
    logging_config: { log_level: 30 },
    applications: [{ ...app, deployments: [{ name: "M", autoscaling_config: { aggregation_function: "max" } }] }],
  });
  expect(config).toMatchObject({
    logging: { level: "warn" },
    applications: [{ deployments: [{ autoscaling: { aggregation: "max" } }] }],
  });
  expect(warnings).toEqual([]);
});

it("F2: what is written in Ray Serve's spelling is read as what it was", () => {
  const application = {
    name: "a",
    routePrefix: "/a",
    importPath: "/x/app.ts:app",
    args: { some_key: 1 },
    env: { A: "1" },
    deployments: [
      {
        name: "M",
        maxOngoingRequests: 3,
        maxQueuedRequests: 4,
        userConfig: { some_key_s: 1 },
        autoscaling: { minReplicas: 1, maxReplicas: 4, upscaleDelayMs: 1_500, aggregation: "max" as const },
        healthCheckPeriodMs: 1_001,
        gracefulShutdownWaitLoopMs: 333,
        requestRouter: { policy: "consistent-hash" as const, stats: { periodMs: 100, timeoutMs: 200 } },
        backpressure: { statusCode: 429 as const, retryAfterMs: 500 },
        rollingUpdatePercentage: 0.5,
        resources: { cpus: 0.5, gpus: 1, memoryMb: 300, custom: { some_key: 1 } },
        env: { B: "2" },
        logging: { level: "warn" as const, accessLog: true },
      },
    ],
  };
  const { config, warnings } = checkConfig({ applications: [toRayApplication(application)] });
  expect(warnings).toEqual([]);
  expect(config.applications).toEqual([application]);
});

it("F3: what stands at the wrong place is told with line and column, and nearest names are in the spelling at hand", () => {
  const text = "applications:\n  - importPath: a:b\n    import_path: c\n    port: 1\n    deployments:\n      - [M]\n";
  expect(messagesOf(() => parseConfig(text, "x.yaml"))).toEqual([
    "x.yaml:3:18: applications[0].import_path says the same as applications[0].importPath. Remove one of the two.",
    "x.yaml:4:11: applications[0].port cannot be set for one application: it is that of all of them. Write http: { port: … } at the top of the file.",
    "x.yaml:6:9: applications[0].deployments[0] must be an object, not an array.",
    "x.yaml:6:9: applications[0].deployments[0].name is missing: it must be the name of a deployment.",
  ]);
  const deployment = { name: "M", health_chek_period_s: 1, healthChekPeriodMs: 1, num_replica: 1 };
  expect(checkConfig({ applications: [{ ...app, deployments: [deployment] }] }).warnings).toEqual([
    expect.stringContaining('Did you mean "health_check_period_s"?'),
    expect.stringContaining('Did you mean "healthCheckPeriodMs"?'),
    expect.stringContaining('Did you mean "num_replicas"?'),
  ]);
});

it("F8: editors' $schema is no unknown key, and YAML's own warnings are told", () => {
  expect(parseConfig('{ "$schema": "x", "applications": [] }', "x.json").warnings).toEqual([]);
  expect(parseConfig("applications: [{ importPath: a, args: { b: !c d } }]", "x.yaml").warnings).toEqual([
    "x.yaml:1:44: Unresolved tag: !c.",
  ]);
  expect(messagesOf(() => parseConfig("applications: []\n---\na: 1\n", "x.yaml"))).toEqual([
    "x.yaml:2:1: A second document begins here. A configuration is one document.",
  ]);
  const nested = messagesOf(() => parseConfig(`applications: ${"[".repeat(50_000)}`, "x.yaml"));
  expect(nested[0]).toMatch(/^x\.yaml:1:\d+: It is nested too deep\.$/);
  expect(nested.length).toBeLessThan(10);
});

it("what JSON could not hold is an error, not lost on the way", () => {
  const messages = (text: string): string[] =>
    messagesOf(() => parseConfig(`applications: [{ importPath: a, args: ${text} }]`, "x.yaml"));
  expect(messages("&a { x: *a }")).toEqual([
    "x.yaml:1:47: applications[0].args.x must be data that JSON can hold, not a value that contains itself.",
  ]);
  expect(messages("{ x: [1, .nan] }")).toEqual([expect.stringContaining("args.x[1] must be data that JSON can hold")]);
  for (const [userConfig, what] of [
    [{ at: new Date(0) }, "userConfig.at must be data that JSON can hold, not a Date"],
    [[undefined], "userConfig[0] must be data that JSON can hold, not undefined"],
    [1n, "userConfig must be data that JSON can hold, not a bigint"],
    [{ f() {} }, "userConfig.f must be data that JSON can hold, not a function"],
  ] as const)
    expect(
      messagesOf(() => checkConfig({ applications: [{ ...app, deployments: [{ name: "M", userConfig }] }] })),
    ).toEqual([expect.stringContaining(what)]);
  const shared = { x: undefined };
  expect(checkConfig({ applications: [{ ...app, args: { a: shared, b: [shared], c: null } }] }).warnings).toEqual([]);
});
