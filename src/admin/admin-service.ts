import type { ApplicationConfig, CheckedConfig } from "../config/check-config.ts";
import type { ServeStatus } from "../core/serve-types.ts";
import type { LogLevel } from "../observe/log.ts";

/** The status of one application, with where it comes from. */
export type AdminApplication = ServeStatus["applications"][string] & {
  readonly name: string;
  /** From a whole configuration, or deployed by itself. */
  readonly source: "declarative" | "imperative";
  readonly deployedConfig: ApplicationConfig;
  /** When that was asked for. */
  readonly deployedAt: Date;
};

export interface AdminStatus {
  readonly applications: Readonly<Record<string, AdminApplication>>;
  readonly proxies: ServeStatus["proxies"];
}

/** One thing that the controller decided, and why. */
export interface Decision {
  readonly at: Date;
  readonly deployment: string;
  readonly replicaId: string;
  readonly action: string;
  readonly reason: string;
}

export interface InstanceDescription {
  readonly version: string;
  readonly pid: number;
  readonly httpUrl: string | undefined;
  /** Where its sockets are: only this user can enter. */
  readonly runtimeDirectory: string;
  /** Only of an instance of its own. */
  readonly stateDirectory: string | undefined;
}

/** Which lines of the logs are wanted. */
export interface LogQuery {
  /** Only of its replicas. @default those of all, and the instance's own */
  readonly app?: string | undefined;
  /** Of `app`. */
  readonly deployment?: string | undefined;
  /** Only of the replica with this id. */
  readonly replica?: string | undefined;
  /** From this one on. Lines that have none count as `info`. */
  readonly level: LogLevel;
  /** How many, of the newest. */
  readonly lines: number;
  /** Whether it goes on with what comes. */
  readonly follow: boolean;
}

/** What the REST interface needs of an instance. */
export interface AdminService {
  status(): AdminStatus;
  describe(): InstanceDescription;
  /** The configuration in force. */
  config(): CheckedConfig;
  /** Takes a configuration for the whole goal, and returns before it is reached. @returns warnings */
  apply(config: CheckedConfig): readonly string[];
  /** Adds one application to the goal, or replaces its namesake; returns before it runs. @throws {ConfigError} if its prefix is taken. */
  applyOne(application: ApplicationConfig): readonly string[];
  /** @returns whether there was such an application; it goes on being deleted. */
  delete(name: string): boolean;
  /** Resolves when every application is gone. */
  deleteAll(): Promise<void>;
  /** @returns false if there is no such deployment. */
  scale(app: string, deployment: string, targetNumReplicas: number): boolean;
  /** Newest first; undefined if there is no such deployment. */
  decisions(app: string, deployment: string): readonly Decision[] | undefined;
  /**
   * Lines of the logs, several at a time, until they end or `signal` aborts.
   *
   * @throws {RequestError} 404 if nothing of that name is known, or no logs are kept.
   */
  logs(query: LogQuery, signal: AbortSignal): AsyncIterable<string>;
  /** The text that Prometheus reads. */
  metrics(): Promise<string>;
  /** Ends the instance, when the answer has left. */
  shutdown(): void;
}
