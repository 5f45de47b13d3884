import type { RouterPolicy } from "../router/policy.ts";
import type { AnyFunction, target } from "../handle/types.ts";

/** Any class: the constraint through which a user's class is seen. */
export type AnyClass = abstract new (...args: any[]) => object;
type Factory = AnyClass & { create(...args: any[]): unknown };
/** A class with a static `create` is made by it (it may be async), otherwise by its constructor. */
type BindParameters<D> = D extends Factory
  ? Parameters<D["create"]>
  : D extends abstract new (...args: infer P) => unknown
    ? P
    : [];
/** Where the code wants a handle, `bind` takes the application behind it. */
type BindArg<A> = A extends { readonly [target]: infer T }
  ? Application<T>
  : A extends AnyFunction
    ? A
    : A extends object
      ? { [K in keyof A]: BindArg<A[K]> }
      : A;
type BindArgs<P extends readonly unknown[]> = { [I in keyof P]: BindArg<P[I]> };
/** What a handle to the deployment is typed by: the class's instance, or the function. */
type Served<D> = D extends abstract new (...args: any[]) => infer I ? I : D;

/**
 * A deployment with its constructor arguments: what `bind` gives and `serve.run` takes.
 *
 * It is only a description and starts nothing. Where it is bound as an argument of another deployment, that one gets a
 * handle; the same object bound at two places is one deployment.
 */
export interface Application<T> {
  readonly [target]: T;
}

/** A class or function with the options it is served with; made by `deployment()`, immutable. */
export interface Deployment<D extends AnyClass | AnyFunction> {
  /** Its name within an application, before a suffix for duplicates. */
  readonly name: string;
  /**
   * Gives the deployment its constructor arguments.
   *
   * Where the constructor takes a `DeploymentHandle<D>`, at top level or nested in arrays and plain objects, an
   * `Application<D>` is given. Anything else must be a value that can be sent.
   */
  bind(...args: BindArgs<BindParameters<D>>): Application<Served<D>>;
  /**
   * A changed copy: the given options replace those of this deployment, key by key.
   *
   * @throws {ConfigError} for an unknown key or a value out of range.
   */
  options(options: DeploymentOptions): Deployment<D>;
}

/** How a deployment is served. Every key is checked when it is given: a `ConfigError` names its `path`. */
export interface DeploymentOptions {
  /** Name within the application. @default the name of the class or function */
  name?: string;
  /** `import.meta.url` of the module that defines the class, where the call site cannot tell. @default the module that calls `deployment()` */
  module?: string;
  /** How many replicas run; "auto" is autoscaling from 1 to 100. Not a number together with `autoscaling`. @default 1 */
  numReplicas?: number | "auto";
  /** Requests that one replica works on at a time, over all callers. Changed without a restart. @default 5 */
  maxOngoingRequests?: number;
  /** Requests that may wait in each calling process; one more gets a `BackPressureError`. -1: no limit. @default -1 */
  maxQueuedRequests?: number;
  /** Given to the class's `reconfigure` at start, and again, without a restart, when it changes. @default none */
  userConfig?: unknown;
  /** Lets the number of replicas follow the load. @default none */
  autoscaling?: AutoscalingOptions;
  /** Time in milliseconds between two health checks of a replica. @default 10_000 */
  healthCheckPeriodMs?: number;
  /** A health check without an answer for so many milliseconds has failed; three in a row replace the replica. @default 30_000 */
  healthCheckTimeoutMs?: number;
  /** While draining, a replica looks this often, in milliseconds, whether it is idle. @default 2_000 */
  gracefulShutdownWaitLoopMs?: number;
  /** Milliseconds that ongoing requests have to finish when a replica stops. @default 20_000 */
  gracefulShutdownTimeoutMs?: number;
  /** How callers choose a replica. */
  requestRouter?: RequestRouterOptions;
  /** What an HTTP client gets when `maxQueuedRequests` is reached: the status (@default 503) and, if set, Retry-After in milliseconds. */
  backpressure?: { statusCode?: 429 | 503; retryAfterMs?: number };
  /** Share of the replicas, above 0 and up to 1, that an update replaces at a time. @default 0.2 */
  rollingUpdatePercentage?: number;
  /** Starts that may fail before the deployment counts as failed; the bound is also three for each replica. @default 20 */
  maxConstructorRetryCount?: number;
  /** A replica that uses more megabytes is replaced without losing a request. @default none */
  maxMemoryMb?: number;
  /** A replica that has served so many requests is replaced without losing one. @default none */
  maxRequests?: number;
  /** What one replica needs, for engines that place replicas. Memory in megabytes. */
  resources?: {
    cpus?: number;
    gpus?: number;
    memoryMb?: number;
    custom?: Record<string, number>;
    labels?: Record<string, string>;
  };
  /** Whether a replica is a process of its own or a worker thread. @default "process" */
  isolation?: "process" | "thread";
  /** Environment variables of the replicas, over those of the driver. @default {} */
  env?: Record<string, string>;
  /** Arguments for Node itself, such as `--max-old-space-size=4096`. @default [] */
  nodeOptions?: string[];
  /** What replicas log. @default { level: "info", accessLog: false } */
  logging?: { level?: "debug" | "info" | "warn" | "error"; accessLog?: boolean };
  /** A change of it replaces the replicas at the next run, also when nothing else changed. @default none */
  version?: string;
}

/** Lets the number of replicas follow the load. */
export interface AutoscalingOptions {
  /** 0 allows scaling to zero. @default 1 */
  minReplicas?: number;
  /** @default 1, or 100 with `numReplicas: "auto"` */
  maxReplicas?: number;
  /** Between the two bounds. @default minReplicas */
  initialReplicas?: number;
  /** Running and waiting requests that each replica should have. @default 2 */
  targetOngoingRequests?: number;
  /** How often callers and replicas report, in milliseconds. @default 10_000 */
  metricsIntervalMs?: number;
  /** The window over which reports are aggregated, in milliseconds. @default 30_000 */
  lookBackPeriodMs?: number;
  /** How long more replicas must be wanted before they are started, in milliseconds. @default 30_000 */
  upscaleDelayMs?: number;
  /** How long fewer must be wanted before some are stopped, in milliseconds. @default 600_000 */
  downscaleDelayMs?: number;
  /** The same for the step from 1 to 0. @default downscaleDelayMs */
  downscaleToZeroDelayMs?: number;
  /** Multiplies the step up. @default 1 */
  upscalingFactor?: number;
  /** Multiplies the step down. @default 1 */
  downscalingFactor?: number;
  /** How the reports of the window become one number. @default "mean" */
  aggregation?: "mean" | "max" | "min";
  /** Decides instead of the built-in rule; bounds and delays apply to what it says. */
  policy?: AutoscalingPolicy;
}

/** What an autoscaling policy sees when it decides. */
export interface AutoscalingContext {
  readonly deployment: string;
  readonly currentReplicas: number;
  readonly targetReplicas: number;
  readonly ongoingRequests: number;
  readonly queuedRequests: number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** What each replica's `recordAutoscalingStats` gave, by name. */
  readonly stats: Readonly<Record<string, readonly number[]>>;
  /** What the policy gave as `state` the last time. */
  readonly state: Readonly<Record<string, unknown>>;
  readonly nowMs: number;
}

/** Decides how many replicas a deployment should have; fractions are rounded up. */
export type AutoscalingPolicy = (
  context: AutoscalingContext,
) => number | { replicas: number; state?: Record<string, unknown>; reason?: string };

/** How callers choose a replica. */
export interface RequestRouterOptions {
  /** A policy by name, or your own. @default "power-of-two-choices" */
  policy?: "power-of-two-choices" | "round-robin" | "consistent-hash" | RouterPolicy;
  /** How often `recordRoutingStats` is asked, and how long it may take, in milliseconds. @default { periodMs: 10_000, timeoutMs: 30_000 } */
  stats?: { periodMs?: number; timeoutMs?: number };
}

/** Methods a deployment class may define for its life cycle. All may be async; each is also callable like any other method. */
export interface DeploymentHooks {
  /** What `handle.remote()` calls. */
  call?(...args: any[]): unknown;
  /** Answers HTTP requests, if the deployment is the ingress. */
  fetch?(request: Request): Response | Promise<Response>;
  /** Serves one WebSocket connection. */
  websocket?(socket: ReplicaWebSocket, request: Request): unknown;
  /** Gets `userConfig` at start, and each new one. */
  reconfigure?(userConfig: any): unknown;
  /** Throws if the replica is not well. */
  checkHealth?(): unknown;
  /** Numbers for a routing policy. */
  recordRoutingStats?(): Record<string, unknown> | Promise<Record<string, unknown>>;
  /** Numbers for an autoscaling policy. */
  recordAutoscalingStats?(): Record<string, number> | Promise<Record<string, number>>;
  /** The destructor, after draining. */
  [Symbol.dispose]?(): void;
  /** The destructor, after draining; it is awaited and goes before the other. */
  [Symbol.asyncDispose]?(): PromiseLike<void>;
}

/** One WebSocket connection, as its replica sees it: iterate its messages, send, close. */
export interface ReplicaWebSocket extends AsyncIterable<string | Uint8Array> {
  /**
   * Sends one message: a string as text, bytes as binary. Resolves when it has left or the buffer has room again.
   *
   * Rejects once the connection has ended, and with a `TypeError` for anything that is neither text nor bytes.
   */
  send(message: string | ArrayBuffer | ArrayBufferView): Promise<void>;
  /**
   * Closes the connection behind what was sent before, and ends the iteration. The code is 1000 or one from 3000 to
   * 4999, the reason has at most 123 bytes.
   *
   * @default 1000 and no reason
   * @throws {HeliostatError} if the code or the reason cannot be sent.
   */
  close(code?: number, reason?: string): void;
  /** The code and reason with which it ended: the client's, if it has sent one; 1006 if it left without a word. */
  readonly closed: Promise<{ code: number; reason: string }>;
}
