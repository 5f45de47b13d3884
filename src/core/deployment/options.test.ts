import { describe, expect, test } from "vitest";
import { ConfigError } from "../errors.ts";
import { INGRESS } from "../router/snapshot.ts";
import { nearestName } from "./option-checks.ts";
import { resolveOptions, type ResolvedOptions } from "./options.ts";
import type { DeploymentOptions } from "./types.ts";

const refusedBy = (options: unknown, path = ""): ConfigError => {
  try {
    resolveOptions(options as DeploymentOptions, path);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error(`accepted: ${JSON.stringify(options)}`);
};

test("fills in the defaults", () => {
  expect(resolveOptions({})).toEqual({
    numReplicas: 1,
    maxOngoingRequests: 5,
    maxQueuedRequests: -1,
    userConfig: undefined,
    healthCheckPeriodMs: 10_000,
    healthCheckTimeoutMs: 30_000,
    gracefulShutdownWaitLoopMs: 2_000,
    gracefulShutdownTimeoutMs: 20_000,
    policy: "power-of-two-choices",
    routingStats: { periodMs: 10_000, timeoutMs: 30_000 },
    backpressure: { statusCode: 503, retryAfterMs: undefined },
    rollingUpdatePercentage: 0.2,
    maxConstructorRetryCount: 20,
    maxMemoryMb: undefined,
    maxRequests: undefined,
    isolation: "process",
    env: {},
    nodeOptions: [],
    logging: { level: "info", accessLog: false },
    version: undefined,
  } satisfies ResolvedOptions);
});

test("a deployment cannot have the name under which the ingress of its application is followed", () => {
  expect(refusedBy({ name: INGRESS }).path).toBe("name");
});

test("keeps every option that is given", () => {
  const given = {
    name: "Model",
    module: "file:///app.ts",
    numReplicas: 3,
    maxOngoingRequests: 7,
    maxQueuedRequests: 10,
    healthCheckPeriodMs: 1,
    healthCheckTimeoutMs: 2,
    gracefulShutdownWaitLoopMs: 0,
    gracefulShutdownTimeoutMs: 0,
    requestRouter: { policy: "round-robin", stats: { periodMs: 5, timeoutMs: 6 } },
    backpressure: { statusCode: 429, retryAfterMs: 0 },
    rollingUpdatePercentage: 1,
    maxConstructorRetryCount: 1,
    maxMemoryMb: 0.5,
    maxRequests: 1,
    resources: { cpus: 0.5, gpus: 1, memoryMb: 100, custom: { tpu: 2 }, labels: { zone: "a" } },
    isolation: "thread",
    env: { KEY: "value" },
    nodeOptions: ["--max-old-space-size=100"],
    logging: { level: "debug", accessLog: true },
    version: "2",
  } as const satisfies Omit<DeploymentOptions, "nodeOptions"> & { nodeOptions: readonly string[] };
  const { name: _name, module: _module, requestRouter, ...rest } = given;
  expect(resolveOptions({ ...given, nodeOptions: [...given.nodeOptions] })).toEqual({
    ...rest,
    userConfig: undefined,
    policy: requestRouter.policy,
    routingStats: requestRouter.stats,
  });
});

test("tells a userConfig of undefined from none", () => {
  expect(resolveOptions({ userConfig: undefined }).userConfig).toEqual({ value: undefined });
  expect(resolveOptions({ userConfig: null }).userConfig).toEqual({ value: null });
});

test("takes undefined for not given", () => {
  expect(resolveOptions({ maxOngoingRequests: undefined } as unknown as DeploymentOptions).maxOngoingRequests).toBe(5);
});

describe("unknown keys", () => {
  test.each([
    [{ numReplica: 1 }, "numReplica", "numReplicas"],
    [{ max_ongoing_requests: 1 }, "max_ongoing_requests", "maxOngoingRequests"],
    [{ health_check_period_s: 1 }, "health_check_period_s", "healthCheckPeriodMs"],
    [{ autoscaling: { maxReplica: 1 } }, "autoscaling.maxReplica", "maxReplicas"],
    [{ backpressure: { status: 429 } }, "backpressure.status", undefined],
    [{ requestRouter: { polcy: "x" } }, "requestRouter.polcy", "policy"],
    [{ requestRouter: { stats: { period: 1 } } }, "requestRouter.stats.period", "periodMs"],
    [{ logging: { levle: "info" } }, "logging.levle", "level"],
    [{ resources: { cpu: 1 } }, "resources.cpu", "cpus"],
    [{ zzz: 1 }, "zzz", undefined],
  ])("%j", (options, path, nearest) => {
    const error = refusedBy(options);
    expect(error.path).toBe(path);
    if (nearest === undefined) expect(error.message).not.toContain("Did you mean");
    else expect(error.message).toContain(`Did you mean "${nearest}"?`);
    expect(error.message).toContain("Known options: ");
  });
});

describe("wrong values", () => {
  test.each([
    ["name", ""],
    ["name", " x"],
    ["name", "a#b"],
    ["name", "a/b"],
    ["name", "a\nb"],
    ["name", "x".repeat(129)],
    ["module", "app.ts"],
    ["numReplicas", 0],
    ["numReplicas", 1.5],
    ["numReplicas", "2"],
    ["numReplicas", null],
    ["maxOngoingRequests", 0],
    ["maxOngoingRequests", 2.5],
    ["maxOngoingRequests", Infinity],
    ["maxQueuedRequests", 0],
    ["maxQueuedRequests", -2],
    ["maxQueuedRequests", 1.5],
    ["healthCheckPeriodMs", 0],
    ["healthCheckTimeoutMs", -1],
    ["gracefulShutdownWaitLoopMs", -1],
    ["gracefulShutdownTimeoutMs", NaN],
    ["rollingUpdatePercentage", 0],
    ["rollingUpdatePercentage", 1.01],
    ["maxConstructorRetryCount", 0],
    ["maxMemoryMb", 0],
    ["maxRequests", 0],
    ["isolation", "container"],
    ["version", 1],
    ["env", { KEY: 1 }, "env.KEY"],
    ["env", ["KEY"]],
    ["nodeOptions", "--x"],
    ["nodeOptions", [1], "nodeOptions[0]"],
    ["autoscaling", true],
    ["autoscaling", { minReplicas: -1 }, "autoscaling.minReplicas"],
    ["autoscaling", { maxReplicas: 0 }, "autoscaling.maxReplicas"],
    ["autoscaling", { minReplicas: 3, maxReplicas: 2 }, "autoscaling.maxReplicas"],
    ["autoscaling", { maxReplicas: 4, initialReplicas: 5 }, "autoscaling.initialReplicas"],
    ["autoscaling", { minReplicas: 2, maxReplicas: 4, initialReplicas: 1 }, "autoscaling.initialReplicas"],
    ["autoscaling", { targetOngoingRequests: 0 }, "autoscaling.targetOngoingRequests"],
    ["autoscaling", { upscaleDelayMs: -1 }, "autoscaling.upscaleDelayMs"],
    ["autoscaling", { downscaleDelayMs: -1 }, "autoscaling.downscaleDelayMs"],
    ["autoscaling", { downscaleToZeroDelayMs: -1 }, "autoscaling.downscaleToZeroDelayMs"],
    ["autoscaling", { aggregation: "median" }, "autoscaling.aggregation"],
    ["autoscaling", { policy: "fast" }, "autoscaling.policy"],
    ["requestRouter", "round-robin"],
    ["requestRouter", { stats: { periodMs: 0 } }, "requestRouter.stats.periodMs"],
    ["backpressure", { statusCode: 500 }, "backpressure.statusCode"],
    ["backpressure", { retryAfterMs: -1 }, "backpressure.retryAfterMs"],
    ["logging", { level: "loud" }, "logging.level"],
    ["logging", { accessLog: "yes" }, "logging.accessLog"],
    ["resources", { gpus: -1 }, "resources.gpus"],
    ["resources", { custom: { tpu: "1" } }, "resources.custom.tpu"],
    ["resources", { labels: { zone: 1 } }, "resources.labels.zone"],
  ])("%s: %j", (key, value, path = key) => {
    expect(refusedBy({ [key]: value }).path).toBe(path);
    expect(refusedBy({ [key]: value }, "deployments[0]").path).toBe(`deployments[0].${path}`);
  });

  test("options that are no object", () => {
    for (const options of [null, 3, "x", []]) expect(refusedBy(options).message).toMatch(/^Options must be an object/);
  });

  test("the message says what is allowed, and what came", () => {
    expect(refusedBy({ numReplicas: 0 }).message).toBe(
      'numReplicas must be an integer of at least 1 or "auto", not 0.',
    );
    expect(refusedBy({ isolation: "vm" }).message).toBe('isolation must be one of "process", "thread", not "vm".');
  });

  test("an unknown policy gets the names of all", () => {
    const error = refusedBy({ requestRouter: { policy: "random" } });
    expect(error.path).toBe("requestRouter.policy");
    for (const name of ["power-of-two-choices", "round-robin", "consistent-hash"])
      expect(error.message).toContain(name);
  });
});

describe("autoscaling", () => {
  test("auto is 1 to 100 at 2 requests each", () => {
    const { numReplicas, autoscaling } = resolveOptions({ numReplicas: "auto" });
    expect(numReplicas).toBe(1);
    expect(autoscaling).toEqual({
      minReplicas: 1,
      maxReplicas: 100,
      initialReplicas: 1,
      targetOngoingRequests: 2,
      metricsIntervalMs: 10_000,
      lookBackPeriodMs: 30_000,
      upscaleDelayMs: 30_000,
      downscaleDelayMs: 600_000,
      downscaleToZeroDelayMs: 600_000,
      upscalingFactor: 1,
      downscalingFactor: 1,
      aggregation: "mean",
      policy: undefined,
    });
  });

  test("starts with the initial number, and with one where that is none", () => {
    expect(resolveOptions({ autoscaling: { minReplicas: 2, maxReplicas: 9, initialReplicas: 4 } }).numReplicas).toBe(4);
    expect(resolveOptions({ autoscaling: { minReplicas: 0 } }).numReplicas).toBe(1);
  });

  test("excludes a fixed number", () => {
    expect(refusedBy({ numReplicas: 2, autoscaling: {} }).path).toBe("numReplicas");
    expect(resolveOptions({ numReplicas: "auto", autoscaling: { maxReplicas: 3 } }).autoscaling?.maxReplicas).toBe(3);
  });

  test("names a policy function", () => {
    const policy = (): number => 1;
    const reference = { module: "file:///app.ts", name: "policy", ordinal: 0 };
    const named: unknown[] = [];
    const options = resolveOptions({ autoscaling: { policy }, requestRouter: { policy: () => null } }, "", (fn) => {
      named.push(fn);
      return reference;
    });
    expect(named).toContain(policy);
    expect(options.autoscaling?.policy).toBe(reference);
    expect(options.policy).toBe(reference);
  });
});

test("suggests only what is near", () => {
  expect(nearestName("isolaton", ["isolation", "version"])).toBe("isolation");
  expect(nearestName("x", ["isolation", "env"])).toBeUndefined();
});
