import { expect, test } from "vitest";
import { deploymentSpec } from "../../../test/support/specs.ts";
import { compareSpecs } from "./version.ts";

const before = deploymentSpec("Model", { initArgs: [{ path: "a.onnx" }] });
const same = { initArgs: [{ path: "a.onnx" }] };

test("the same class with equal arguments is no change", () => {
  expect(compareSpecs(before, deploymentSpec("Model", same))).toBe("none");
});

test.each([
  ["maxQueuedRequests", { maxQueuedRequests: 3 }, "light"],
  ["healthCheckPeriodMs", { healthCheckPeriodMs: 1 }, "light"],
  ["healthCheckTimeoutMs", { healthCheckTimeoutMs: 1 }, "light"],
  ["requestRouter", { requestRouter: { policy: "round-robin" as const } }, "light"],
  ["autoscaling", { autoscaling: { maxReplicas: 4 } }, "light"],
  ["numReplicas", { numReplicas: 3 }, "reconfigure"],
  ["maxOngoingRequests", { maxOngoingRequests: 9 }, "reconfigure"],
  ["userConfig", { userConfig: { threshold: 1 } }, "reconfigure"],
  ["gracefulShutdownTimeoutMs", { gracefulShutdownTimeoutMs: 1 }, "reconfigure"],
  ["env", { env: { A: "1" } }, "replace"],
  ["nodeOptions", { nodeOptions: ["--expose-gc"] }, "replace"],
  ["isolation", { isolation: "thread" as const }, "replace"],
  ["version", { version: "2" }, "replace"],
  ["maxMemoryMb", { maxMemoryMb: 9 }, "replace"],
  ["code", { code: "Other" }, "replace"],
  ["initArgs", { initArgs: [{ path: "b.onnx" }] }, "replace"],
])("a change of %s", (_, change, kind) => {
  expect(compareSpecs(before, deploymentSpec("Model", { ...same, ...change }))).toBe(kind);
});

test("another class object under the same name replaces", () => {
  expect(compareSpecs(before, { ...deploymentSpec("Model", same), target: class Model {} })).toBe("replace");
});

test("the strongest of several changes counts", () => {
  expect(compareSpecs(before, deploymentSpec("Model", { ...same, maxQueuedRequests: 1, maxOngoingRequests: 1 }))).toBe(
    "reconfigure",
  );
});
