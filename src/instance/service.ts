import { join } from "node:path";
import type { AdminService, AdminStatus, Decision, InstanceDescription, LogQuery } from "../admin/admin-service.ts";
import { notFound } from "../admin/reply.ts";
import { HttpFront } from "../app/http-front.ts";
import { Instance } from "../app/instance.ts";
import { processPlatform, type KeptOptions } from "../app/platforms.ts";
import type { ApplicationConfig, CheckedConfig } from "../config/check-config.ts";
import { withKeyTexts } from "../config/config-file.ts";
import type { DeploymentChange } from "../control/supervised-application.ts";
import type { Log } from "../core/contracts/log.ts";
import type { ApplicationSpec } from "../core/deployment/spec.ts";
import { ConfigError } from "../core/errors.ts";
import type { HttpOptions } from "../core/serve-types.ts";
import { systemClock } from "../engine/system-clock.ts";
import { DecisionLog } from "./decision-log.ts";
import { Goal, type KeptWanted } from "./goal.ts";
import { LogFolder, LOGS_FOLDER } from "./logs/log-folder.ts";
import { HttpInForce } from "./http-in-force.ts";
import { metricsText } from "./metrics.ts";
import { version } from "./version.ts";

/** An application as it is kept. */
export interface KeptApplication extends KeptWanted {
  /** What ran last; undefined if it never did. */
  readonly reached: ApplicationSpec | undefined;
}

export interface ServiceOptions {
  /** The port is opened at once. */
  readonly http: HttpOptions;
  readonly log: Log;
  readonly stateDirectory?: string | undefined;
  /** What runs outlives this process. @default it ends with it */
  readonly kept?: KeptOptions | undefined;
  /** Told of each change of a deployment, for showing progress. */
  readonly onChange?: (change: DeploymentChange) => void;
  /** What is to be kept has changed. */
  onSettled?(): void;
  /** Somebody has asked for the end. */
  onShutdown(): void;
}

/** An instance that is told by configurations what to run: what `heliostat run` and `heliostat start` open. */
export class Service implements AdminService {
  readonly goal: Goal;
  readonly #instance: Instance;
  readonly #front: HttpFront;
  readonly #options: ServiceOptions;
  readonly #decisions: DecisionLog;
  readonly #logs: LogFolder | undefined;
  /** Each application as it last ran. */
  readonly #reached = new Map<string, ApplicationSpec>();
  readonly #http: HttpInForce;
  #logging: CheckedConfig["logging"];
  #closing: Promise<void> | undefined = undefined;

  private constructor(
    options: ServiceOptions,
    parts: { instance: Instance; front: HttpFront; decisions: DecisionLog; logs: LogFolder | undefined },
  ) {
    this.#options = options;
    this.#http = new HttpInForce(options.http, parts.front.proxy!);
    this.#instance = parts.instance;
    this.#front = parts.front;
    this.#decisions = parts.decisions;
    this.#logs = parts.logs;
    this.goal = new Goal({
      deploy: (spec) => this.#deploy(spec),
      delete: (name) => this.#delete(name),
      settled: () => options.onSettled?.(),
    });
  }

  /** @throws {ConfigError} if the port is taken. */
  static async open(options: ServiceOptions): Promise<Service> {
    const { log, onChange, stateDirectory, kept } = options;
    const logs =
      stateDirectory === undefined ? undefined : new LogFolder(join(stateDirectory, LOGS_FOLDER), systemClock);
    const decisions = new DecisionLog(systemClock);
    const instance = await Instance.open(processPlatform({ outputDirectory: logs?.path, kept }), {
      clock: systemClock,
      log,
      ...(onChange === undefined ? {} : { onChange }),
      onDecision: (app, decision) => decisions.add(app, decision),
    });
    const front = new HttpFront({
      log,
      openProxy: (http) => instance.openProxies!(http),
      standing:
        "by processes of the instance before this one. Shut the instance down and start it again to change that.",
    });
    try {
      await front.open(await withKeyTexts(options.http));
    } catch (error) {
      // What another instance has left may be taken over by a start with other options.
      if (options.kept?.runtimeDirectory === undefined) await instance.close();
      throw error;
    }
    return new Service(options, { instance, front, decisions, logs });
  }

  get httpUrl(): string {
    return this.#front.proxy!.url;
  }

  status(): AdminStatus {
    const { applications } = this.#instance.controller.status();
    return {
      applications: Object.fromEntries(
        [...this.goal.all].map(([name, { config, source, askedAt, phase, message }]) => {
          const known = applications[name];
          const failure = phase === "failed" ? { status: "DEPLOY_FAILED" as const, message } : undefined;
          const status =
            phase === "deploying" ? "DEPLOYING" : phase === "deleting" ? "DELETING" : (known?.status ?? "NOT_STARTED");
          return [
            name,
            {
              name,
              source,
              status,
              message: known?.message ?? "",
              routePrefix: config.routePrefix,
              deployments: known?.deployments ?? {},
              ...failure,
              deployedConfig: config,
              deployedAt: askedAt,
            },
          ];
        }),
      ),
      proxies: this.#front.status,
    };
  }

  describe(): InstanceDescription {
    return {
      version,
      pid: process.pid,
      httpUrl: this.#front.proxy?.url,
      runtimeDirectory: this.#instance.runtimeDirectory!,
      stateDirectory: this.#options.stateDirectory,
    };
  }

  config(): CheckedConfig {
    return {
      http: this.#http.config,
      ...(this.#logging === undefined ? {} : { logging: this.#logging }),
      applications: this.goal.configs,
    };
  }

  /** What an instance after this one is to know. */
  get kept(): KeptApplication[] {
    return this.goal.kept.map((wanted) => ({ ...wanted, reached: this.#reached.get(wanted.config.name) }));
  }

  /** Takes over what an instance before this one had: what still runs goes on, the rest is deployed. */
  adopt(applications: readonly KeptApplication[], config: CheckedConfig): void {
    this.#http.apply(config.http ?? {});
    this.#logging = config.logging;
    const running = this.#instance.recover(applications.flatMap(({ reached }) => reached ?? []));
    for (const spec of running) this.#reached.set(spec.name, spec);
    void this.#front.publishAll(running);
    for (const { reached: _, phase, ...wanted } of applications)
      this.goal.adopt({ ...wanted, phase: this.#reached.has(wanted.config.name) ? phase : "deploying" });
  }

  apply(config: CheckedConfig): readonly string[] {
    const warnings = this.#http.apply(config.http ?? {});
    this.#logging = config.logging;
    this.goal.replace(config);
    return warnings;
  }

  applyOne(application: ApplicationConfig): readonly string[] {
    const { name, routePrefix } = application;
    const other = this.goal.configs.find((each) => each.name !== name && each.routePrefix === routePrefix);
    if (routePrefix !== null && other !== undefined) {
      throw new ConfigError(
        `The route prefix "${routePrefix}" is taken by application "${other.name}". Give "${name}" another with --route-prefix.`,
        { path: "routePrefix" },
      );
    }
    this.goal.set(application, "imperative", this.#logging);
    return [];
  }

  delete(name: string): boolean {
    return this.goal.delete(name) !== undefined;
  }

  async deleteAll(): Promise<void> {
    await Promise.all([...this.goal.all.keys()].map((name) => this.goal.delete(name)));
  }

  scale(app: string, deployment: string, targetNumReplicas: number): boolean {
    return this.goal.scale(app, deployment, targetNumReplicas);
  }

  decisions(app: string, deployment: string): readonly Decision[] | undefined {
    const spec = this.goal.all.get(app)?.spec;
    if (spec?.deployments.some(({ name }) => name === deployment) !== true) return undefined;
    return this.#decisions.of(app, deployment);
  }

  logs(query: LogQuery, signal: AbortSignal): AsyncIterable<string> {
    if (this.#logs === undefined)
      throw notFound("No logs are kept: what heliostat run and its replicas write goes to its terminal.");
    const missing = this.#logs.missing(query, this.#instance.controller.status().applications);
    if (missing !== undefined) throw notFound(missing);
    return this.#logs.lines(query, signal);
  }

  async metrics(): Promise<string> {
    return metricsText(this.status(), (await this.#front.proxy?.traffic()) ?? []);
  }

  shutdown(): void {
    this.#options.onShutdown();
  }

  /** Whatever runs ends when this process does, at the latest. */
  forsake(): void {
    this.#instance.forsake();
  }

  /** Lets what was accepted finish, stops everything, frees everything. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const specs = [...this.goal.all.values()].flatMap(({ spec }) => spec?.deployments ?? []);
    for (const { abort } of this.goal.all.values()) abort.abort();
    await this.#front.drain(Math.max(0, ...specs.map(({ options }) => options.gracefulShutdownTimeoutMs)));
    await this.#instance.close();
    await this.#front.close();
  }

  async #deploy(spec: ApplicationSpec): Promise<void> {
    await this.#instance.run(spec);
    // It may have been given up for another meanwhile.
    if (this.goal.all.get(spec.name)?.phase === "deleting") return;
    const running = this.#instance.asItRuns(spec);
    this.#reached.set(spec.name, running);
    await this.#front.publish(running);
  }

  async #delete(name: string): Promise<void> {
    await this.#front.remove(name);
    await this.#instance.delete(name);
    this.#decisions.forget(name);
    this.#reached.delete(name);
  }
}
