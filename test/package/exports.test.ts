import * as heliostat from "heliostat";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** Everything that a user can import, by entry point. A change here is a change of the public interface. */
const values = [
  "BackPressureError",
  "ConfigError",
  "DeploymentFailedError",
  "DeploymentUnavailableError",
  "HeliostatError",
  "ProtocolError",
  "ReplicaDiedError",
  "ReplicaUnavailableError",
  "RequestCancelledError",
  "RequestTimeoutError",
  "SerializationError",
  "StreamMismatchError",
  "UnknownMethodError",
  "batch",
  "defineConfig",
  "deployment",
  "multiplexed",
  "serve",
  "sse",
];
const types = [
  "Application",
  "ApplicationStatus",
  "Arg",
  "AutoscalingContext",
  "AutoscalingOptions",
  "AutoscalingPolicy",
  "BatchOptions",
  "Batched",
  "BatchedStream",
  "Deployment",
  "DeploymentBroadcastResponse",
  "DeploymentHandle",
  "DeploymentHooks",
  "DeploymentOptions",
  "DeploymentResponse",
  "DeploymentResponseGenerator",
  "DeploymentStatus",
  "ErrorCode",
  "FetchApp",
  "HandleOptions",
  "HttpOptions",
  "MethodHandle",
  "MethodName",
  "Multiplexed",
  "MultiplexedOptions",
  "ReplicaCandidate",
  "ReplicaContext",
  "ReplicaState",
  "ReplicaWebSocket",
  "RequestContext",
  "RequestRouterOptions",
  "RouterPolicy",
  "RunOptions",
  "Serialization",
  "Serve",
  "ServeConfig",
  "ServeStatus",
  "SseInit",
];

const index = readFileSync(new URL("../../src/index.ts", import.meta.url), "utf8");
const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  exports: Record<string, unknown>;
  files: string[];
};

test("the values of the main entry", () => {
  expect(Object.keys(heliostat).toSorted()).toEqual(values);
});

test("the types of the main entry", () => {
  const named = [...index.matchAll(/export type \{([^}]*)\}/g)].flatMap(([, list]) =>
    list!
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== ""),
  );
  expect(named.toSorted()).toEqual(types);
});

test("the main entry only passes on", () => {
  const code = index.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
  expect(code.replaceAll(/export (type )?\{[^}]*\} from "[^"]+";/g, "").trim()).toBe("");
});

test("the entry points of the package", () => {
  expect(Object.keys(manifest.exports)).toEqual([".", "./testing", "./schema.json", "./package.json"]);
  expect(manifest.files).toEqual(["dist", "schema.json", "CHANGELOG.md"]);
});
