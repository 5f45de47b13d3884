import { randomBytes } from "node:crypto";
import { Controller, type ControllerOptions } from "../control/controller.ts";
import { Guest } from "../control/guest.ts";
import type { Clock } from "../core/contracts/clock.ts";
import type { ControllerMessage } from "../core/contracts/control-messages.ts";
import type { Engine } from "../core/contracts/engine.ts";
import type { Log } from "../core/contracts/log.ts";
import { defaultHandleOptions } from "../core/deployment/handle-options.ts";
import { definitions } from "../core/deployment/definitions.ts";
import type { ApplicationSpec } from "../core/deployment/spec.ts";
import { DeploymentUnavailableError } from "../core/errors.ts";
import { Caller } from "../core/handle/caller.ts";
import { Handle } from "../core/handle/handle.ts";
import type { OpenExchange } from "../core/http/exchange.ts";
import { exchangeOpener } from "../core/http/open-exchange.ts";
import type { RouterPolicy } from "../core/router/policy.ts";
import type { ReplicaTarget } from "../core/router/snapshot.ts";
import { processState } from "../engine/process-state.ts";
import { systemClock } from "../engine/system-clock.ts";
import { bodyEncoder, connector, handleExtension } from "../engine/wire-setup.ts";
import { stderrLog } from "../observe/log.ts";
import { formats } from "../formats/formats.ts";
import { checkTravels } from "./check-travels.ts";
import { defaultLimits } from "../wire/limits.ts";
import type { Poller } from "../wire/poller.ts";
import type { SharedMemory } from "../wire/shared-memory.ts";
import { Sharing } from "../wire/sharing.ts";
import type { Transport } from "../wire/transport.ts";
import type { WireContext } from "../wire/wire-context.ts";
import type { OpenProxy } from "./proxies/http-proxy.ts";

/** Lets a process in that only calls: `send` leads to it, and what it says and its end go to the guest. */
export type Welcome = (send: (message: ControllerMessage) => void) => Guest;

/** What differs between an instance over processes and one in memory. */
export interface Platform {
  engine(isolation: "process" | "thread"): Engine;
  open(target: ReplicaTarget): Transport;
  /** Opens memory that its replicas can map. @default there is none */
  openSharedMemory?(): Promise<SharedMemory | undefined>;
  /** Where replies come from outside of the event loop, which sleeps until then. @default none */
  readonly poller?: Poller | undefined;
  /** Where other processes of this user find its sockets. @default they cannot */
  readonly runtimeDirectory?: string | undefined;
  /** Serves HTTP in processes of their own. @default there are none */
  readonly openProxies?: OpenProxy | undefined;
  /** Takes care of processes that come to call, who are sent away until then. Called once. */
  receiveGuests?(welcome: Welcome): void;
  /** An instance before this one has left processes behind: who followed its replicas must not hear of none. @default false */
  readonly takesOver?: boolean;
  /** What runs ends with this process, though it was to outlive it. */
  forsake?(): void;
  /** Frees what the platform itself holds, when every replica is gone. */
  close(): Promise<void>;
}

/** Builds the platform over the wire context and caller of the instance. */
export type MakePlatform = (context: WireContext, caller: Caller, log: Log) => Platform | Promise<Platform>;

/** What an instance takes from the world around it: a test gives another clock, and reads the log. */
export interface Surroundings extends Pick<ControllerOptions, "onChange" | "onDecision"> {
  readonly clock: Clock;
  readonly log: Log;
}

const realSurroundings: Surroundings = { clock: systemClock, log: stderrLog("warn", "heliostat") };

/** One running heliostat: a controller, the replicas it has started, and the handles that call them. */
export class Instance {
  readonly controller: Controller;
  readonly caller: Caller;
  /** HTTP exchanges with the applications of this instance. */
  readonly openExchange: OpenExchange;
  readonly #ingresses = new Map<string, string>();
  readonly #context: WireContext;
  readonly #platform: Platform;
  #closing: Promise<void> | undefined = undefined;

  private constructor(parts: { context: WireContext; caller: Caller; controller: Controller; platform: Platform }) {
    this.#context = parts.context;
    this.caller = parts.caller;
    // By its name, where it is known, so that exchanges and handles stand in one line.
    this.openExchange = exchangeOpener(parts.caller, (app) => this.#ingresses.get(app));
    this.controller = parts.controller;
    this.#platform = parts.platform;
  }

  static async open(makePlatform: MakePlatform, surroundings: Surroundings = realSurroundings): Promise<Instance> {
    const { clock, log } = surroundings;
    const peerId = randomBytes(16);
    let caller!: Caller;
    let controller!: Controller;
    let platform!: Platform;
    const context: WireContext & { poller: Poller | undefined } = {
      clock,
      formats: formats(handleExtension(() => caller)),
      limits: defaultLimits,
      token: randomBytes(32),
      peerId,
      sharing: new Sharing(async () => platform.openSharedMemory?.()),
      // The platform needs the context, so it comes later. A getter would cost every call that looks at the context.
      poller: undefined,
      log,
    };
    caller = new Caller({
      clock,
      contexts: processState.contexts,
      directory: { subscribe: (...args) => controller.directory.subscribe(...args) },
      connect: connector(context, (target) => platform.open(target)),
      encoder: bodyEncoder(context),
      log,
      nodeId: "local",
      requestIdPrefix: peerId.toString("hex").slice(0, 12),
      resolvePolicy: (reference) => definitions.own(reference) as RouterPolicy | undefined,
    });
    platform = await makePlatform(context, caller, log);
    context.poller = platform.poller;
    controller = new Controller({
      ...surroundings,
      engines: (isolation) => platform.engine(isolation),
      nodeId: "local",
    });
    const instance = new Instance({ context, caller, controller, platform });
    if (platform.takesOver !== true) instance.#receiveGuests();
    return instance;
  }

  /** Where other processes of this user find it; an instance in memory cannot be reached. */
  get runtimeDirectory(): string | undefined {
    return this.#platform.runtimeDirectory;
  }

  /** Opens proxies in processes of their own, which end with this instance; an instance in memory has none. */
  get openProxies(): OpenProxy | undefined {
    return this.#platform.openProxies;
  }

  /** Deploys and gives a handle to the ingress. */
  async run(app: ApplicationSpec): Promise<Handle> {
    checkTravels(app, this.#context.formats);
    if (!this.#ingresses.has(app.name)) this.#ingresses.set(app.name, app.ingress);
    await this.controller.deploy(app);
    this.#ingresses.set(app.name, app.ingress);
    return this.handle(app.name, app.ingress);
  }

  /**
   * Takes over what an instance before this one has left: its applications, as they ran, and the replicas that are there.
   *
   * @returns the applications of which something is there; the others must be run.
   */
  recover(apps: readonly ApplicationSpec[]): readonly ApplicationSpec[] {
    const names = new Set(this.controller.recover(apps));
    const recovered = apps.filter(({ name }) => names.has(name));
    for (const { name, ingress } of recovered) this.#ingresses.set(name, ingress);
    if (this.#platform.takesOver === true) this.#receiveGuests();
    return recovered;
  }

  /** Whatever runs ends when this process does, at the latest. */
  forsake(): void {
    this.#platform.forsake?.();
  }

  /** An application that was run, as its replicas show it: a `fetch` that is a field of its ingress is known only now. */
  asItRuns(app: ApplicationSpec): ApplicationSpec {
    const answersHttp = this.controller.answersHttp(app.name);
    const deployments = app.deployments.map((each) => (each.name === app.ingress ? { ...each, answersHttp } : each));
    return { ...app, deployments };
  }

  /** Drains and stops an application. */
  async delete(name: string): Promise<void> {
    this.#ingresses.delete(name);
    await this.controller.delete(name);
  }

  handle(app: string, deployment: string): Handle {
    return new Handle(this.caller, { app, deployment }, defaultHandleOptions);
  }

  /** Ends open calls, stops every replica and frees everything. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.caller.close(
      new DeploymentUnavailableError("heliostat was shut down. Call serve.run() again before making calls."),
    );
    await this.controller.shutdown();
    await this.#platform.close();
    this.#context.sharing?.close();
  }

  #receiveGuests(): void {
    const { controller } = this;
    this.#platform.receiveGuests?.(
      (send) => new Guest({ directory: controller.directory, status: () => controller.status(), send }),
    );
  }
}
