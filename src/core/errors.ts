/** The stable code of each error class; `docs/reference/errors.md` describes every one. */
export type ErrorCode =
  | "HELIOSTAT"
  | "BACK_PRESSURE"
  | "REQUEST_CANCELLED"
  | "REQUEST_TIMEOUT"
  | "DEPLOYMENT_UNAVAILABLE"
  | "REPLICA_UNAVAILABLE"
  | "REPLICA_DIED"
  | "UNKNOWN_METHOD"
  | "STREAM_MISMATCH"
  | "SERIALIZATION"
  | "PROTOCOL"
  | "DEPLOYMENT_FAILED"
  | "CONFIG";

/** Shared by every copy of the package in a process, so that `isInstance` works over duplicate installs. */
const brand: unique symbol = Symbol.for("heliostat.error") as never;

export interface ErrorOptions {
  cause?: unknown;
}

/** Any error that heliostat itself raises; `code` names it, `retryable` says whether the same call may succeed later. */
export class HeliostatError extends Error {
  readonly code: string;
  readonly retryable: boolean;

  constructor(message: string, options: ErrorOptions & { code?: string; retryable?: boolean } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = new.target.name;
    this.code = options.code ?? "HELIOSTAT";
    this.retryable = options.retryable ?? false;
    Object.defineProperty(this, brand, { value: true });
    // Own enumerable fields are the error's data; its name is not.
    Object.defineProperty(this, "name", { enumerable: false });
  }

  /** Whether a value is an error of heliostat's, whichever copy of the package made it. */
  static isInstance(value: unknown): value is HeliostatError {
    return typeof value === "object" && value !== null && brand in value;
  }
}

/** The waiting line of a caller is full: the request was never sent. Retry later. */
export class BackPressureError extends HeliostatError {
  readonly deployment: string;
  /** Requests waiting when this one was refused. */
  readonly queued: number;
  readonly maxQueuedRequests: number;

  constructor(
    message: string,
    fields: { deployment: string; queued: number; maxQueuedRequests: number } & ErrorOptions,
  ) {
    super(message, { ...causeOf(fields), code: "BACK_PRESSURE", retryable: true });
    this.deployment = fields.deployment;
    this.queued = fields.queued;
    this.maxQueuedRequests = fields.maxQueuedRequests;
  }
}

/** The request was cancelled; `cause` is the signal's reason if a signal did it. */
export class RequestCancelledError extends HeliostatError {
  readonly requestId: string;

  constructor(message: string, fields: { requestId: string } & ErrorOptions) {
    super(message, { ...causeOf(fields), code: "REQUEST_CANCELLED" });
    this.requestId = fields.requestId;
  }
}

/** The time is up: of the request itself (`stopped: true`), or only of waiting for it (`stopped: false`). */
export class RequestTimeoutError extends HeliostatError {
  readonly timeoutMs: number;
  readonly stopped: boolean;

  constructor(message: string, fields: { timeoutMs: number; stopped: boolean } & ErrorOptions) {
    super(message, { ...causeOf(fields), code: "REQUEST_TIMEOUT" });
    this.timeoutMs = fields.timeoutMs;
    this.stopped = fields.stopped;
  }
}

/** The deployment does not exist, was deleted, or could not be deployed. */
export class DeploymentUnavailableError extends HeliostatError {
  constructor(message: string, options: ErrorOptions = {}) {
    super(message, { ...causeOf(options), code: "DEPLOYMENT_UNAVAILABLE" });
  }
}

/** The replica cannot be reached now; the request was not run. */
export class ReplicaUnavailableError extends HeliostatError {
  constructor(message: string, options: ErrorOptions = {}) {
    super(message, { ...causeOf(options), code: "REPLICA_UNAVAILABLE", retryable: true });
  }
}

/** The replica died while it had the request, which may have run in part. */
export class ReplicaDiedError extends HeliostatError {
  readonly replicaId: string;

  constructor(message: string, fields: { replicaId: string } & ErrorOptions) {
    super(message, { ...causeOf(fields), code: "REPLICA_DIED", retryable: true });
    this.replicaId = fields.replicaId;
  }
}

/** The deployment has no such method; `available` lists those it has. */
export class UnknownMethodError extends HeliostatError {
  readonly method: string;
  readonly available: readonly string[];

  constructor(message: string, fields: { method: string; available: readonly string[] } & ErrorOptions) {
    super(message, { ...causeOf(fields), code: "UNKNOWN_METHOD" });
    this.method = fields.method;
    this.available = fields.available;
  }
}

/** A generator called without `stream: true`, or `stream: true` on a method that does not stream. */
export class StreamMismatchError extends HeliostatError {
  readonly method: string;

  constructor(message: string, fields: { method: string } & ErrorOptions) {
    super(message, { ...causeOf(fields), code: "STREAM_MISMATCH" });
    this.method = fields.method;
  }
}

/** A value cannot travel; `path` says where in it, such as `args[0].user.avatar`. */
export class SerializationError extends HeliostatError {
  readonly path: string;

  constructor(message: string, fields: { path: string } & ErrorOptions) {
    super(message, { ...causeOf(fields), code: "SERIALIZATION" });
    this.path = fields.path;
  }
}

/** The other side of a connection broke the protocol; the connection was closed. */
export class ProtocolError extends HeliostatError {
  constructor(message: string, options: ErrorOptions = {}) {
    super(message, { ...causeOf(options), code: "PROTOCOL" });
  }
}

/** A deployment could not be started; the message holds the user's own error. */
export class DeploymentFailedError extends HeliostatError {
  readonly deployment: string;

  constructor(message: string, fields: { deployment: string } & ErrorOptions) {
    super(message, { ...causeOf(fields), code: "DEPLOYMENT_FAILED" });
    this.deployment = fields.deployment;
  }
}

/** An option is unknown or out of range; `path` names it, such as `autoscaling.maxReplicas`. */
export class ConfigError extends HeliostatError {
  readonly path: string;

  constructor(message: string, fields: { path: string } & ErrorOptions) {
    super(message, { ...causeOf(fields), code: "CONFIG" });
    this.path = fields.path;
  }
}

function causeOf(options: ErrorOptions): ErrorOptions {
  return "cause" in options ? { cause: options.cause } : {};
}
