import type { ApplicationSpec } from "../core/deployment/spec.ts";
import { buildApplication } from "../core/deployment/application.ts";
import { type ResolvedHttpOptions, resolveRunOptions } from "../core/deployment/run-options.ts";
import { ConfigError, DeploymentUnavailableError } from "../core/errors.ts";
import type { Caller } from "../core/handle/caller.ts";
import type { Handle } from "../core/handle/handle.ts";
import type { HttpOptions, RunOptions, ServeStatus } from "../core/serve-types.ts";
import { Instance } from "./instance.ts";
import { systemClock } from "../engine/system-clock.ts";
import { stderrLog } from "../observe/log.ts";
import { answersHttp, HttpFront } from "./http-front.ts";
import { memoryPlatform, processPlatform } from "./platforms.ts";
import type { HttpProxy } from "./proxies/http-proxy.ts";
import { SignalHandler } from "./signal-handler.ts";

type Where = "processes" | "memory";

const log = stderrLog("warn", "heliostat");

/** What runs in this driver: one instance over processes, one in memory, each opened when it is first needed. */
export class Instances {
  readonly #open = new Map<Where, Promise<Instance>>();
  readonly #ready = new Map<Where, Instance>();
  /** Which instance runs an application. */
  readonly #apps = new Map<string, { readonly where: Where; readonly spec: ApplicationSpec }>();
  readonly #front = new HttpFront({
    log,
    openProxy: (http) => this.#openProxy(http),
    standing: "with the options of the first application that was served. Call serve.shutdown() first to change them.",
  });
  readonly #signals = new SignalHandler(() => this.shutdown());

  async run(app: unknown, given: RunOptions): Promise<Handle> {
    const options = resolveRunOptions(given);
    const spec = buildApplication(app, options);
    const { name, signal } = options;
    signal?.throwIfAborted();
    const where: Where = options.local ? "memory" : "processes";
    const before = this.#apps.get(name);
    if (before !== undefined && before.where !== where) await this.delete(name);
    const instance = await this.#instance(where);
    this.#apps.set(name, { where, spec });
    const abandon = (): void => void instance.controller.delete(name);
    signal?.addEventListener("abort", abandon, { once: true });
    let giveBack = (): void => {};
    try {
      giveBack = await this.#prepare(spec, where, given.http);
      const handle = await instance.run(spec);
      const running = instance.asItRuns(spec);
      if (!answersHttp(spec)) {
        giveBack = await this.#prepare(running, where, given.http).catch(async (error: unknown) => {
          await (before?.where === where ? instance.run(before.spec) : instance.delete(name));
          throw error;
        });
      }
      await this.#front.publish(running);
      return handle;
    } catch (error) {
      giveBack();
      // The script was told to end while it deployed: that this failed is no news to report.
      if (this.#signals.isStopping) return new Promise<never>(() => {});
      if (before === undefined) this.#apps.delete(name);
      else this.#apps.set(name, before);
      if (this.#apps.size === 0) await this.shutdown();
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", abandon);
    }
  }

  get ready(): readonly Instance[] {
    return [...this.#ready.values()];
  }

  ingressOf(app: string): string | undefined {
    return this.#apps.get(app)?.spec.ingress;
  }

  /** The caller through which an application is reached, or any, which then says that there is no such application. */
  callerFor(app: string): Caller | undefined {
    const where = this.#apps.get(app)?.where;
    return (where === undefined ? [...this.#ready.values()][0] : this.#ready.get(where))?.caller;
  }

  status(): ServeStatus {
    const applications: Record<string, ServeStatus["applications"][string]> = {};
    for (const instance of this.#ready.values()) Object.assign(applications, instance.controller.status().applications);
    return { applications, proxies: this.#front.status };
  }

  /** @throws {DeploymentUnavailableError} if there is no such application. */
  async delete(name: string): Promise<void> {
    const app = this.#apps.get(name);
    if (app === undefined) {
      const names = [...this.#apps.keys()].map((known) => `"${known}"`).join(", ") || "none";
      throw new DeploymentUnavailableError(`There is no application "${name}" to delete. Running: ${names}.`);
    }
    this.#apps.delete(name);
    await this.#front.remove(name);
    await this.#ready.get(app.where)?.controller.delete(name);
  }

  /** Ends everything; afterwards `run` starts afresh. */
  async shutdown(): Promise<void> {
    const drainMs = Math.max(0, ...[...this.#apps.values()].map(({ spec }) => drainMsOf(spec)));
    this.#apps.clear();
    const opened = [...this.#open.values()];
    this.#open.clear();
    await this.#front.drain(drainMs);
    await Promise.all(
      opened.map(async (opening) => {
        const instance = await opening.catch(() => undefined);
        await instance?.close();
        for (const [where, ready] of this.#ready) if (ready === instance) this.#ready.delete(where);
      }),
    );
    await this.#front.close();
    if (this.#open.size === 0) this.#signals.remove();
  }

  async #openProxy(http: ResolvedHttpOptions): Promise<HttpProxy> {
    if (http.workers > 1) return this.#ready.get("processes")!.openProxies!(http);
    // Loaded when it is needed: a driver without HTTP does without node:http and all of this.
    const { OwnProxy } = await import("./proxies/own-proxy.ts");
    return OwnProxy.open({
      http,
      clock: systemClock,
      log,
      openExchange: (app, options, listener) => this.#instanceOf(app).openExchange(app, options, listener),
    });
  }

  /** @throws {ConfigError} if its prefix or the port is taken, or the proxies cannot reach it. */
  async #prepare(spec: ApplicationSpec, where: Where, given: HttpOptions = {}): Promise<() => void> {
    let http = given;
    if (where === "memory" && (given.workers ?? 1) > 1 && this.#front.proxy === undefined && answersHttp(spec)) {
      log.warn("http.workers has no effect: applications with local: true are served by the process that they run in.");
      http = { ...given, workers: 1 };
    }
    const giveBack = await this.#front.prepare(spec, http);
    if (where === "processes" || !answersHttp(spec) || this.#front.proxy!.isInThisProcess) return giveBack;
    giveBack();
    throw new ConfigError(
      `Application "${spec.name}" runs in the memory of this process (local: true), where the proxies cannot reach it that http.workers has started. Give it routePrefix: null, or run without http.workers.`,
      { path: "local" },
    );
  }

  #instanceOf(app: string): Instance {
    const where = this.#apps.get(app)?.where;
    return (where === undefined ? undefined : this.#ready.get(where)) ?? [...this.#ready.values()][0]!;
  }

  #instance(where: Where): Promise<Instance> {
    let opening = this.#open.get(where);
    if (opening === undefined) {
      this.#signals.install();
      opening = Instance.open(where === "memory" ? memoryPlatform : processPlatform()).then((instance) => {
        this.#ready.set(where, instance);
        return instance;
      });
      this.#open.set(where, opening);
      opening.catch(() => this.#open.delete(where));
    }
    return opening;
  }
}

/** How long requests that came in over HTTP may take to finish when everything ends. */
function drainMsOf({ deployments }: ApplicationSpec): number {
  return Math.max(...deployments.map(({ options }) => options.gracefulShutdownTimeoutMs));
}
