import type { CodeReference, PolicyName } from "../router/snapshot.ts";

/** Deployment options after defaults and checks: plain data that can be sent to another process, but for functions, which are named by `CodeReference`. */
export interface ResolvedOptions {
  readonly numReplicas: number;
  readonly maxOngoingRequests: number;
  /** -1: no limit. */
  readonly maxQueuedRequests: number;
  /** Wrapped so that `undefined` given differs from not given. */
  readonly userConfig: { readonly value: unknown } | undefined;
  readonly healthCheckPeriodMs: number;
  readonly healthCheckTimeoutMs: number;
  readonly gracefulShutdownWaitLoopMs: number;
  readonly gracefulShutdownTimeoutMs: number;
  readonly policy: PolicyName | CodeReference;
  readonly routingStats: { readonly periodMs: number; readonly timeoutMs: number };
  readonly backpressure: { readonly statusCode: 429 | 503; readonly retryAfterMs: number | undefined };
  readonly rollingUpdatePercentage: number;
  readonly maxConstructorRetryCount: number;
  readonly maxMemoryMb: number | undefined;
  readonly maxRequests: number | undefined;
  readonly isolation: "process" | "thread";
  readonly env: Readonly<Record<string, string>>;
  readonly nodeOptions: readonly string[];
  readonly logging: { readonly level: "debug" | "info" | "warn" | "error"; readonly accessLog: boolean };
  readonly version: string | undefined;
}
