import { rmSync } from "node:fs";
import type { AdminService, AdminStatus, Decision, InstanceDescription, LogQuery } from "../admin/admin-service.ts";
import type { StateDirectory } from "../client/state-directory.ts";
import type { ApplicationConfig, CheckedConfig } from "../config/check-config.ts";
import { withAbsolutePaths } from "../config/config-file.ts";
import type { Log } from "../core/contracts/log.ts";
import { decodeValue, encodeValue, specFormats } from "../formats/spec-formats.ts";
import type { KeptApplication, Service } from "./service.ts";
import { version } from "./version.ts";

const GOAL_FILE = "goal.json";

/** What should run, as it is kept. */
interface KeptGoal {
  readonly version: string;
  readonly config: CheckedConfig;
  /** How far each application is, as values of the structured format in base64: specs hold what JSON does not. */
  readonly applications: string;
}

/** A service that another can take over after a crash: what it has is kept in the state directory, until it ends in order. */
export class KeptService implements AdminService {
  readonly #service: Service;
  readonly #directory: StateDirectory;
  readonly #log: Log;

  constructor(service: Service, { directory, log }: { readonly directory: StateDirectory; readonly log: Log }) {
    this.#service = service;
    this.#directory = directory;
    this.#log = log;
  }

  /** Takes over what another instance has left behind: what still runs is not touched. @returns whether there was anything. */
  restore(): boolean {
    const goal = this.#read();
    const applications = goal === undefined ? [] : this.#decode(goal);
    this.#service.adopt(applications ?? [], goal?.config ?? { applications: [] });
    if (goal === undefined) return false;
    // Of another version: only what was asked for is understood.
    if (applications === undefined) this.#service.apply(goal.config);
    this.keep();
    return goal.config.applications.length > 0;
  }

  /** It ends in order: the next instance begins with nothing. */
  forget(): void {
    rmSync(this.#directory.file(GOAL_FILE), { force: true });
  }

  apply(config: CheckedConfig): readonly string[] {
    return [...this.#service.apply(config), ...this.keep()];
  }

  applyOne(application: ApplicationConfig): readonly string[] {
    return [...this.#service.applyOne(application), ...this.keep()];
  }

  delete(name: string): boolean {
    const was = this.#service.delete(name);
    this.keep();
    return was;
  }

  async deleteAll(): Promise<void> {
    const deleted = this.#service.deleteAll();
    this.keep();
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

  forsake(): void {
    this.#service.forsake();
  }

  shutdown(): void {
    this.#service.shutdown();
  }

  close(): Promise<void> {
    return this.#service.close();
  }

  /** Writes down what is so now. @returns a warning if that cannot be done: what was asked for holds all the same. */
  keep(): readonly string[] {
    const config = withAbsolutePaths(this.#service.config(), process.cwd());
    const configs = new Map(config.applications.map((each) => [each.name, each]));
    const applications = this.#service.kept.map((each) => ({ ...each, config: configs.get(each.config.name)! }));
    try {
      const encoded = Buffer.from(encodeValue(applications, specFormats())).toString("base64");
      this.#directory.write(GOAL_FILE, JSON.stringify({ version, config, applications: encoded } satisfies KeptGoal));
      return [];
    } catch (error) {
      const warning = `The configuration could not be kept, and would be lost in a crash: ${(error as Error).message}`;
      this.#log.error(warning);
      return [warning];
    }
  }

  #read(): KeptGoal | undefined {
    const text = this.#directory.read(GOAL_FILE);
    if (text === undefined) return undefined;
    try {
      const goal = JSON.parse(text) as KeptGoal;
      if (!Array.isArray(goal.config.applications)) throw new TypeError("it has no applications");
      return goal;
    } catch (error) {
      this.#log.error(`${this.#directory.file(GOAL_FILE)} is not understood, and ignored: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** @returns undefined if an instance of another version has written it. */
  #decode(goal: KeptGoal): readonly KeptApplication[] | undefined {
    if (goal.version !== version) return undefined;
    return decodeValue(Buffer.from(goal.applications, "base64"), specFormats()) as readonly KeptApplication[];
  }
}
