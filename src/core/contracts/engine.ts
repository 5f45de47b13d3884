import type { ReplicaSpec } from "../deployment/spec.ts";
import type { FoundReplica } from "../controller/recover-replica.ts";
import type { ControllerMessage, ReplicaMessage } from "./control-messages.ts";

/**
 * Where replicas run. An engine starts and ends processes and tells when they end; it never routes, never restarts on
 * its own and never sees a request.
 */
export interface Engine {
  readonly kind: "process" | "thread" | "memory";
  /**
   * Starts a replica and returns at once; what goes wrong later shows in `exited`.
   *
   * `listener` hears nothing before `start` has returned.
   */
  start(spec: ReplicaSpec, listener: ReplicaProcessListener): ReplicaProcess;
  /** Replicas that an engine before this one has started, and that are still there. Asked once, before the first start. */
  recover?(): readonly RecoveredReplica[];
  /** Ends every process and resolves when nothing is left of them. Idempotent. */
  close(): Promise<void>;
}

/** A replica whose controller is gone. */
export interface RecoveredReplica extends FoundReplica {
  /** Takes it over as if it had been started here; `listener` hears nothing before this has returned. */
  adopt(listener: ReplicaProcessListener): ReplicaProcess;
}

/** One started replica, from the controller's side. */
export interface ReplicaProcess {
  readonly pid: number | undefined;
  /** Sends over the control channel; before the replica listens it is kept for it, after its end it is dropped. */
  send(message: ControllerMessage): void;
  /** Ends it without mercy (SIGKILL). Idempotent; `onExit` follows. */
  kill(): void;
}

export interface ReplicaProcessListener {
  onMessage(message: ReplicaMessage): void;
  /** Last event of a replica: its process or thread is gone, and so is its socket. */
  onExit(exit: ReplicaExit): void;
}

export interface ReplicaExit {
  /** What happened in words, such as `killed by SIGKILL` or `exited with code 1`, with the last lines it wrote to stderr if any. */
  readonly description: string;
  readonly code: number | null;
  readonly signal: string | null;
}
