export { deployment } from "./core/deployment/deployment.ts";
export { batch } from "./app/batch.ts";
export { multiplexed } from "./app/multiplexed.ts";
export { serve } from "./app/serve.ts";
export { defineConfig } from "./core/define-config.ts";
export { sse } from "./app/sse.ts";
export type { SseInit } from "./core/sse.ts";
export {
  BackPressureError,
  ConfigError,
  DeploymentFailedError,
  DeploymentUnavailableError,
  HeliostatError,
  ProtocolError,
  ReplicaDiedError,
  ReplicaUnavailableError,
  RequestCancelledError,
  RequestTimeoutError,
  SerializationError,
  StreamMismatchError,
  UnknownMethodError,
} from "./core/errors.ts";
export type { ErrorCode } from "./core/errors.ts";
export type {
  Application,
  AutoscalingContext,
  AutoscalingOptions,
  AutoscalingPolicy,
  Deployment,
  DeploymentHooks,
  DeploymentOptions,
  ReplicaWebSocket,
  RequestRouterOptions,
} from "./core/deployment/types.ts";
export type {
  Arg,
  DeploymentBroadcastResponse,
  DeploymentHandle,
  DeploymentResponse,
  DeploymentResponseGenerator,
  HandleOptions,
  MethodHandle,
  MethodName,
  Serialization,
} from "./core/handle/types.ts";
export type { ReplicaCandidate, RouterPolicy } from "./core/router/policy.ts";
export type { BatchOptions, Batched, BatchedStream } from "./core/replica/batch-types.ts";
export type { Multiplexed, MultiplexedOptions } from "./core/replica/multiplexing.ts";
export type {
  ApplicationStatus,
  DeploymentStatus,
  FetchApp,
  HttpOptions,
  ReplicaContext,
  ReplicaState,
  RequestContext,
  RunOptions,
  Serve,
  ServeConfig,
  ServeStatus,
} from "./core/serve-types.ts";
