import { HttpFront } from "../app/http-front.ts";
import { Instance } from "../app/instance.ts";
import { processPlatform } from "../app/platforms.ts";
import type { Clock } from "../core/contracts/clock.ts";
import type { Log } from "../core/contracts/log.ts";
import type { ResolvedHttpOptions } from "../core/deployment/run-options.ts";
import type { ApplicationSpec } from "../core/deployment/spec.ts";
import { DeploymentUnavailableError } from "../core/errors.ts";
import type { HttpOptions, ServeStatus } from "../core/serve-types.ts";
import { systemClock } from "../engine/system-clock.ts";
import { stderrLog } from "../observe/log.ts";

export interface ServiceOptions {
  /** Where HTTP is served, from the beginning: also before there is an application. */
  readonly http?: HttpOptions | undefined;
  readonly clock?: Clock;
  readonly log?: Log;
}

interface Deployed {
  readonly drainMs: number;
  /** Tells the last deploy of a name from those that it has overtaken. */
  readonly turn: number;
}

/** An instance that runs for itself and not inside of somebody's script: controller, replicas and HTTP. */
export class Service {
  readonly instance: Instance;
  /** Where HTTP is served, without a slash at the end. */
  readonly httpUrl: string;
  readonly #front: HttpFront;
  readonly #apps = new Map<string, Deployed>();
  #turns = 0;
  #closing: Promise<void> | undefined = undefined;

  private constructor(instance: Instance, front: HttpFront) {
    this.instance = instance;
    this.#front = front;
    this.httpUrl = front.proxy!.url;
  }

  /** @throws {ConfigError} with the path `http.port` or another, if HTTP cannot be served there. */
  static async open({
    http,
    clock = systemClock,
    log = stderrLog("warn", "heliostat"),
  }: ServiceOptions = {}): Promise<Service> {
    let instance!: Instance;
    const front = new HttpFront({
      clock,
      log,
      openExchange: (app, options, listener) => instance.openExchange(app, options, listener),
    });
    // First what can be wrong: a port that is taken is to leave nothing behind.
    await front.open(http);
    try {
      instance = await Instance.open(processPlatform, { clock, log });
    } catch (error) {
      await front.close();
      throw error;
    }
    return new Service(instance, front);
  }

  /**
   * Deploys an application, or updates the one of its name. Resolves when it runs, and answers at its prefix.
   *
   * @throws {ConfigError} if another application has its prefix, and {DeploymentFailedError} if it cannot be started.
   */
  async deploy(spec: ApplicationSpec): Promise<void> {
    if (this.#closing !== undefined) throw new DeploymentUnavailableError("The instance is being shut down.");
    const { name } = spec;
    const giveBack = await this.#front.prepare(spec, undefined);
    const before = this.#apps.get(name);
    const turn = ++this.#turns;
    this.#apps.set(name, { drainMs: drainMsOf(spec), turn });
    try {
      await this.instance.run(spec);
    } catch (error) {
      // A deploy or delete that came later says what holds now.
      if (this.#apps.get(name)?.turn === turn) {
        giveBack();
        if (before === undefined) this.#apps.delete(name);
        else this.#apps.set(name, before);
      }
      throw error;
    }
    if (this.#apps.get(name)?.turn === turn) this.#front.publish(spec);
  }

  /** Resolves when nothing of the application is left. @returns whether there was one. */
  async delete(name: string): Promise<boolean> {
    const known = this.#apps.delete(name);
    this.#front.remove(name);
    await this.instance.controller.delete(name);
    return known;
  }

  async deleteAll(): Promise<void> {
    await Promise.all([...this.#apps.keys()].map((name) => this.delete(name)));
  }

  status(): ServeStatus {
    return { ...this.instance.controller.status(), proxies: this.#front.status };
  }

  /** For requests that begin from now on. */
  setTimeouts(timeouts: Pick<ResolvedHttpOptions, "requestTimeoutMs" | "keepAliveTimeoutMs">): void {
    this.#front.proxy?.setTimeouts(timeouts);
  }

  /** Lets requests that were accepted finish, then ends everything. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const drainMs = Math.max(0, ...[...this.#apps.values()].map((app) => app.drainMs));
    this.#apps.clear();
    await this.#front.drain(drainMs);
    await this.instance.close();
    await this.#front.close();
  }
}

function drainMsOf({ deployments }: ApplicationSpec): number {
  return Math.max(...deployments.map(({ options }) => options.gracefulShutdownTimeoutMs));
}
