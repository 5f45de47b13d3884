import { BuildFailure, build } from "../app/builder/builder.ts";
import type { ApplicationConfig, CheckedConfig } from "../config/check-config.ts";
import type { ApplicationSpec } from "../core/deployment/spec.ts";
import { errorText } from "../core/error-text.ts";
import { HeliostatError } from "../core/errors.ts";

/** One application as it is wanted, and how far that is. Each attempt is one of these: what an older one finds out counts no more. */
export interface Wanted {
  readonly config: ApplicationConfig;
  readonly source: "declarative" | "imperative";
  readonly logging: CheckedConfig["logging"];
  readonly askedAt: Date;
  readonly abort: AbortController;
  /** Settles when it runs, or has failed. */
  readonly done: Promise<void>;
  phase: "deploying" | "running" | "failed" | "deleting";
  message: string;
  /** What it has failed with. */
  error: unknown;
  /** As it was last built. */
  spec: ApplicationSpec | undefined;
  files: readonly string[];
}

/** What brings applications into being. */
export interface Deployer {
  deploy(spec: ApplicationSpec): Promise<void>;
  delete(name: string): Promise<void>;
  /** An application runs, has failed or is gone. */
  settled(): void;
}

/** What is kept of an application for the instance after this one. */
export interface KeptWanted extends Pick<Wanted, "config" | "source" | "logging" | "askedAt" | "message" | "spec"> {
  readonly phase: "deploying" | "running" | "failed";
  readonly scales: ReadonlyMap<string, number>;
}

/** The applications that should run; works off what differs, each by itself, so that one that fails touches no other. */
export class Goal {
  readonly #deployer: Deployer;
  readonly #wanted = new Map<string, Wanted>();
  /** Replicas that somebody asked for by hand, by application and deployment. */
  readonly #scales = new Map<string, Map<string, number>>();

  constructor(deployer: Deployer) {
    this.#deployer = deployer;
  }

  get all(): ReadonlyMap<string, Wanted> {
    return this.#wanted;
  }

  /** All but what is being deleted. */
  get kept(): KeptWanted[] {
    return [...this.#wanted.values()].flatMap(({ config, source, logging, askedAt, phase, message, spec }) => {
      if (phase === "deleting") return [];
      const scales = this.#scales.get(config.name) ?? new Map<string, number>();
      return [{ config, source, logging, askedAt, phase, message, spec, scales }];
    });
  }

  /** Takes over what another instance had of an application: it runs already, or has failed; nothing is deployed. */
  adopt({ scales, ...kept }: KeptWanted): void {
    const { name } = kept.config;
    this.#scales.set(name, new Map(scales));
    if (kept.phase === "deploying") {
      this.set(kept.config, kept.source, kept.logging);
      return;
    }
    const error = kept.phase === "failed" ? new HeliostatError(kept.message) : undefined;
    const abort = new AbortController();
    this.#wanted.set(name, { ...kept, abort, done: Promise.resolve(), error, files: [] });
  }

  get configs(): ApplicationConfig[] {
    return [...this.#wanted.values()].filter(({ phase }) => phase !== "deleting").map(({ config }) => config);
  }

  /** Makes this the whole goal. */
  replace(config: CheckedConfig): void {
    const names = new Set(config.applications.map(({ name }) => name));
    for (const name of this.#wanted.keys()) if (!names.has(name)) void this.delete(name);
    for (const application of config.applications) this.set(application, "declarative", config.logging);
  }

  /** Makes or updates one application. Its module is loaded anew, so code that has changed counts too. */
  set(config: ApplicationConfig, source: Wanted["source"], logging?: CheckedConfig["logging"]): void {
    const { name } = config;
    const before = this.#wanted.get(name);
    before?.abort.abort();
    for (const deployment of config.deployments ?? [])
      if (deployment.numReplicas !== undefined) this.#scales.get(name)?.delete(deployment.name);
    const { promise, resolve } = Promise.withResolvers<void>();
    const wanted: Wanted = {
      config,
      source,
      logging,
      askedAt: new Date(),
      abort: new AbortController(),
      done: promise,
      phase: "deploying",
      message: "",
      error: undefined,
      spec: before?.spec,
      files: before?.files ?? [],
    };
    this.#wanted.set(name, wanted);
    void this.#reach(wanted).finally(() => {
      resolve();
      this.#deployer.settled();
    });
  }

  /** Deploys an application again from its files as they are now. */
  renew(name: string): void {
    const wanted = this.#wanted.get(name);
    if (wanted !== undefined && wanted.phase !== "deleting") this.set(wanted.config, wanted.source, wanted.logging);
  }

  /** @returns undefined if there is no such application; else it resolves when nothing is left of it. */
  delete(name: string): Promise<void> | undefined {
    const wanted = this.#wanted.get(name);
    if (wanted === undefined) return undefined;
    wanted.abort.abort();
    wanted.phase = "deleting";
    this.#scales.delete(name);
    return this.#deployer.delete(name).then(() => {
      if (this.#isCurrent(wanted)) this.#wanted.delete(name);
      this.#deployer.settled();
    });
  }

  /** Holds until a configuration names a number for the deployment. @returns false if there is no such deployment. */
  scale(app: string, deployment: string, replicas: number): boolean {
    const wanted = this.#wanted.get(app);
    if (wanted?.spec?.deployments.some(({ name }) => name === deployment) !== true || wanted.phase === "deleting")
      return false;
    const scales = this.#scales.get(app) ?? new Map<string, number>();
    this.#scales.set(app, scales.set(deployment, replicas));
    const { spec } = wanted;
    void this.#deployer
      .deploy(this.#scaled(spec))
      .catch((error: unknown) => {
        if (this.#isCurrent(wanted)) wanted.message = errorText(error);
      })
      .finally(() => this.#deployer.settled());
    return true;
  }

  async #reach(wanted: Wanted): Promise<void> {
    const { config, logging, abort } = wanted;
    try {
      const built = await build({ ...config, directory: process.cwd(), logging }, { signal: abort.signal });
      if (!this.#isCurrent(wanted)) return;
      wanted.files = built.files.length > 0 ? built.files : wanted.files;
      if (built instanceof BuildFailure) throw built.error;
      wanted.spec = built.spec;
      await this.#deployer.deploy(this.#scaled(built.spec));
      wanted.phase = this.#isCurrent(wanted) && wanted.phase === "deploying" ? "running" : wanted.phase;
    } catch (error) {
      if (!this.#isCurrent(wanted) || abort.signal.aborted) return;
      wanted.phase = "failed";
      wanted.error = error;
      wanted.message = errorText(error);
    }
  }

  #isCurrent(wanted: Wanted): boolean {
    return this.#wanted.get(wanted.config.name) === wanted;
  }

  #scaled(spec: ApplicationSpec): ApplicationSpec {
    const scales = this.#scales.get(spec.name);
    if (scales === undefined || scales.size === 0) return spec;
    return {
      ...spec,
      deployments: spec.deployments.map((each) => {
        const numReplicas = scales.get(each.name);
        if (numReplicas === undefined) return each;
        const { autoscaling: _, ...options } = each.options;
        return { ...each, options: { ...options, numReplicas } };
      }),
    };
  }
}
