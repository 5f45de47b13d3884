import { rmSync } from "node:fs";
import type { AdminService, AdminStatus, Decision, InstanceDescription, LogQuery } from "../admin/admin-service.ts";
import type { StateDirectory } from "../client/state-directory.ts";
import type { ApplicationConfig, CheckedConfig } from "../config/check-config.ts";
import { withAbsolutePaths } from "../config/config-file.ts";
import type { Log } from "../core/contracts/log.ts";
import type { Service } from "./service.ts";

const GOAL_FILE = "goal.json";

/** What should run, as it is kept. */
interface KeptGoal {
  readonly config: CheckedConfig;
  /** Applications that were deployed by themselves. */
  readonly imperative: readonly string[];
}

/** A service whose goal outlives a crash: it is kept in the state directory, until the instance ends in order. */
export class KeptService implements AdminService {
  readonly #service: Service;
  readonly #directory: StateDirectory;
  readonly #log: Log;

  constructor(service: Service, { directory, log }: { readonly directory: StateDirectory; readonly log: Log }) {
    this.#service = service;
    this.#directory = directory;
    this.#log = log;
  }

  /** Deploys again what a crash has left. @returns whether there was anything. */
  restore(): boolean {
    const text = this.#directory.read(GOAL_FILE);
    if (text === undefined) return false;
    try {
      const { config, imperative } = JSON.parse(text) as KeptGoal;
      const isAlone = ({ name }: ApplicationConfig): boolean => imperative.includes(name);
      this.#service.apply({ ...config, applications: config.applications.filter((each) => !isAlone(each)) });
      for (const application of config.applications.filter(isAlone)) this.#service.applyOne(application);
      return config.applications.length > 0;
    } catch (error) {
      this.#log.error(`${this.#directory.file(GOAL_FILE)} is not understood, and ignored: ${(error as Error).message}`);
      return false;
    }
  }

  /** It ends in order: the next instance begins with nothing. */
  forget(): void {
    rmSync(this.#directory.file(GOAL_FILE), { force: true });
  }

  apply(config: CheckedConfig): readonly string[] {
    return [...this.#service.apply(config), ...this.#keep()];
  }

  applyOne(application: ApplicationConfig): readonly string[] {
    return [...this.#service.applyOne(application), ...this.#keep()];
  }

  delete(name: string): boolean {
    const was = this.#service.delete(name);
    this.#keep();
    return was;
  }

  async deleteAll(): Promise<void> {
    const deleted = this.#service.deleteAll();
    this.#keep();
    await deleted;
  }

  status(): AdminStatus {
    return this.#service.status();
  }

  describe(): InstanceDescription {
    return this.#service.describe();
  }

  config(): CheckedConfig {
    return this.#service.config();
  }

  scale(app: string, deployment: string, targetNumReplicas: number): boolean {
    return this.#service.scale(app, deployment, targetNumReplicas);
  }

  decisions(app: string, deployment: string): readonly Decision[] | undefined {
    return this.#service.decisions(app, deployment);
  }

  logs(query: LogQuery, signal: AbortSignal): AsyncIterable<string> {
    return this.#service.logs(query, signal);
  }

  metrics(): Promise<string> {
    return this.#service.metrics();
  }

  shutdown(): void {
    this.#service.shutdown();
  }

  close(): Promise<void> {
    return this.#service.close();
  }

  /** @returns a warning if it could not be written: what was asked for holds all the same. */
  #keep(): readonly string[] {
    const config = withAbsolutePaths(this.#service.config(), process.cwd());
    const imperative = [...this.#service.goal.all].flatMap(([name, { source }]) =>
      source === "imperative" ? [name] : [],
    );
    try {
      this.#directory.write(GOAL_FILE, JSON.stringify({ config, imperative } satisfies KeptGoal));
      return [];
    } catch (error) {
      const warning = `The configuration could not be kept, and would be lost in a crash: ${(error as Error).message}`;
      this.#log.error(warning);
      return [warning];
    }
  }
}
