import type { ReplicaAddress, DeploymentSnapshot } from "../router/snapshot.ts";

/** What a replica may be told while it runs, without a restart. */
export interface LiveOptions {
  readonly maxOngoingRequests: number;
  readonly gracefulShutdownWaitLoopMs: number;
  readonly gracefulShutdownTimeoutMs: number;
  readonly worldSize: number;
}

/** Controller to replica. The replica's spec is given by the engine at its start, not by a message. */
export type ControllerMessage =
  /** Load the code, construct, reconfigure, check health once; answered by `ready` or `failed`. The first message. */
  | { readonly type: "initialize" }
  /** New limits and, if `userConfig` is given, `reconfigure(userConfig.value)`; answered by `reconfigured`. */
  | {
      readonly type: "reconfigure";
      readonly id: number;
      readonly options: LiveOptions;
      readonly userConfig?: { readonly value: unknown };
    }
  | { readonly type: "check-health"; readonly id: number }
  /** Refuse new calls, finish ongoing ones within the time, run the destructor, exit. The process then ends by itself. */
  | { readonly type: "stop"; readonly timeoutMs: number }
  /** Answer to `subscribe`, and each later change. */
  | { readonly type: "snapshot"; readonly snapshot: DeploymentSnapshot }
  /** Answer to `call`. */
  | { readonly type: "called"; readonly id: number; readonly value?: unknown; readonly error?: unknown };

/** What a replica says first to a controller that has not started it: how far it is, and what it was told by the one before. */
export interface ReplicaReport {
  /** What it has said, or would have, when it was ready; undefined while it starts. */
  readonly ready: { readonly address: ReplicaAddress; readonly methods: readonly string[] } | undefined;
  readonly isStopping: boolean;
  readonly options: LiveOptions;
  readonly userConfig: { readonly value: unknown } | undefined;
}

/** Replica to controller. Errors travel as values of the structured format, so they arrive rebuilt. */
export type ReplicaMessage =
  /** The replica serves at this address. */
  | { readonly type: "ready"; readonly address: ReplicaAddress; readonly methods: readonly string[] }
  /** It could not be made ready: its code does not load, the constructor, `reconfigure` or the first health check threw. It exits by itself. */
  | {
      readonly type: "failed";
      readonly phase: "load" | "construct" | "reconfigure" | "health";
      readonly error: unknown;
    }
  /** It was started by a controller that is gone, and has found the next. */
  | ({ readonly type: "recovered" } & ReplicaReport)
  | { readonly type: "reconfigured"; readonly id: number; readonly error?: unknown }
  | { readonly type: "health"; readonly id: number; readonly error?: unknown }
  | { readonly type: "subscribe"; readonly app: string; readonly deployment: string }
  | { readonly type: "unsubscribe"; readonly app: string; readonly deployment: string }
  /** Models the replica holds or loads, whenever that changes. */
  | { readonly type: "models"; readonly modelIds: readonly string[] }
  /** What the class's `recordRoutingStats` gave. */
  | { readonly type: "routing-stats"; readonly stats: Readonly<Record<string, unknown>> }
  /** It wants to be recycled: over `maxMemoryMb` or `maxRequests`. */
  | { readonly type: "worn-out"; readonly reason: string }
  /** `serve.status()` and the like from inside a replica. */
  | { readonly type: "call"; readonly id: number; readonly method: "status"; readonly args: readonly unknown[] };
