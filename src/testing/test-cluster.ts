import { Instance } from "../app/instance.ts";
import { memoryPlatform, processPlatform } from "../app/platforms.ts";
import type { Log } from "../core/contracts/log.ts";
import { buildApplication } from "../core/deployment/application.ts";
import type { Application } from "../core/deployment/types.ts";
import { ConfigError } from "../core/errors.ts";
import type { DeploymentHandle } from "../core/handle/types.ts";
import type { ServeStatus } from "../core/serve-types.ts";
import { processState } from "../engine/process-state.ts";
import { systemClock } from "../engine/system-clock.ts";
import { stderrLog } from "../observe/log.ts";
import { LeftoversError } from "./leftovers-error.ts";
import { ManualClock } from "./manual-clock.ts";
import { advance, drive, settle, withRealTurns } from "./settle.ts";
import { WatchedPlatform } from "./watched-platform.ts";

/** How a test cluster runs. */
export interface TestClusterOptions {
  /** "processes": as in production, on the real clock, so that one test can run both ways. @default "memory" */
  readonly over?: "memory" | "processes";
  /** "manual": time stands still until the test advances it. @default "manual" in memory, "real" over processes */
  readonly clock?: "manual" | "real" | ManualClock;
  /** What the cluster has to say. @default errors, to stderr */
  readonly log?: Log;
}

/** Which replica to kill: the one of this id, or the first one that runs of a deployment. */
export type ReplicaChoice = string | { readonly deployment: string; readonly app?: string };

/** Timers that end by themselves, such as that for a caller who does not take a free place, are done after this time. */
const LAST_TIMERS_MS = 10;

/**
 * Opens a cluster for one test: the same router, controller, replicas and wire format as `serve.run`, in this process
 * and independent of it and of other clusters.
 *
 * Time is virtual: it passes when the test says so, and then at once. Values are still encoded and decoded.
 *
 * ```ts
 * import { deployment } from "heliostat";
 * import { testCluster } from "heliostat/testing";
 *
 * class Greeter {
 *   greet(name: string) {
 *     return `Hello ${name}!`;
 *   }
 * }
 *
 * await using cluster = await testCluster();
 * const handle = await cluster.run(deployment(Greeter).bind());
 * console.log(await handle.greet.remote("world")); // Hello world!
 * ```
 *
 * @throws {ConfigError} for virtual time over processes, which cannot share a clock.
 */
export async function testCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const { replica } = processState;
  if (replica !== undefined) {
    // In a replica the module is loaded for its definitions only: a cluster of its own would start replicas without end.
    replica.waits();
    return new Promise<never>(() => {});
  }
  const {
    over = "memory",
    clock = over === "memory" ? "manual" : "real",
    log = stderrLog("error", "heliostat"),
  } = options;
  if (over === "processes" && clock !== "real") {
    throw new ConfigError('Processes run on the real clock. Leave out clock, or run over "memory".', { path: "clock" });
  }
  const manual = clock === "manual" ? new ManualClock() : clock === "real" ? undefined : clock;
  const makePlatform = over === "memory" ? memoryPlatform : processPlatform();
  let platform!: WatchedPlatform;
  const instance = await Instance.open(
    async (context, caller, instanceLog) =>
      (platform = new WatchedPlatform(await makePlatform(context, caller, instanceLog))),
    { clock: manual === undefined ? systemClock : withRealTurns(manual), log },
  );
  return new TestCluster({ instance, platform, clock: manual });
}

/** One running test cluster, made by `testCluster`. `await using` checks at the end of the test that nothing is left. */
export class TestCluster implements AsyncDisposable {
  readonly #instance: Instance;
  readonly #platform: WatchedPlatform;
  readonly #clock: ManualClock | undefined;
  #closing: Promise<void> | undefined = undefined;
  #isClosed = false;

  constructor(parts: { instance: Instance; platform: WatchedPlatform; clock: ManualClock | undefined }) {
    this.#instance = parts.instance;
    this.#platform = parts.platform;
    this.#clock = parts.clock;
  }

  /** The virtual time. `advance` of the cluster also waits for what a timer has set off; that of the clock does not. */
  get clock(): ManualClock {
    if (this.#clock === undefined)
      throw new ConfigError("This cluster runs on the real clock, which cannot be advanced.", { path: "clock" });
    return this.#clock;
  }

  /**
   * Deploys, waits until RUNNING, and gives a handle to the ingress. Running a name again updates it.
   *
   * Virtual time passes only where nothing else can happen, as between the attempts to start what fails.
   */
  async run<T>(app: Application<T>, options: { readonly name?: string } = {}): Promise<DeploymentHandle<T>> {
    const spec = buildApplication(app, { name: options.name ?? "default", routePrefix: null });
    return (await this.#drive(this.#instance.run(spec))) as unknown as DeploymentHandle<T>;
  }

  /** A handle to any deployment of an application. @default app "default" */
  handle<T>(deployment: string, app = "default"): DeploymentHandle<T> {
    return this.#instance.handle(app, deployment) as unknown as DeploymentHandle<T>;
  }

  /** Drains and stops an application. */
  async delete(name: string): Promise<void> {
    await this.#drive(this.#instance.controller.delete(name));
  }

  status(): ServeStatus {
    return this.#instance.controller.status();
  }

  /** Lets `ms` pass, timer by timer, and what each has set off arrive. On the real clock it waits so long. */
  async advance(ms: number): Promise<void> {
    if (this.#clock !== undefined) return advance(this.#clock, ms);
    await new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** Lets what is on its way arrive without letting time pass. */
  async settle(): Promise<void> {
    await settle(this.#clock);
  }

  /** Ends a replica without mercy, as SIGKILL does. @returns its id, when this process has noticed. */
  async killReplica(which: ReplicaChoice): Promise<string> {
    const found = this.#platform.replicas.find(({ spec }) =>
      typeof which === "string"
        ? spec.replicaId === which
        : spec.deployment === which.deployment && spec.app === (which.app ?? spec.app),
    );
    if (found === undefined) {
      const running = this.#platform.replicas.map(({ spec }) => spec.replicaId).join(", ") || "none";
      throw new Error(
        `There is no replica ${typeof which === "string" ? which : `of ${which.deployment}`} to kill. Running: ${running}.`,
      );
    }
    const { replicaId } = found.spec;
    found.process.kill();
    await this.settle();
    // A process takes a moment to end.
    while (this.#platform.replicas.includes(found)) await new Promise((resolve) => setTimeout(resolve, 1));
    await this.settle();
    return replicaId;
  }

  /**
   * What is left to do: requests and deadlines. Once the cluster is closed also what must not outlive it: replicas,
   * connections, subscriptions, timers. Empty when everything is gone.
   */
  leftovers(): string[] {
    const found = this.#instance.caller.leftovers();
    if (!this.#isClosed) return found;
    const { applications, subscriptions, timers } = this.#instance.controller.leftovers();
    for (const app of applications) found.push(`application ${app}`);
    for (const { spec } of this.#platform.replicas) found.push(`replica ${spec.replicaId}`);
    if (this.#platform.openConnections > 0) found.push(`${this.#platform.openConnections} connections`);
    if (subscriptions > 0) found.push(`${subscriptions} subscriptions of routers`);
    const pending = this.#clock?.pendingTimers ?? timers;
    if (pending > 0) found.push(`${pending} timers`);
    return found;
  }

  /**
   * Ends everything. Idempotent: every call gives the same outcome.
   *
   * @throws {LeftoversError} if requests were still open, unless `abandon` says that they may be, or if anything has
   *   outlived the cluster. Everything has been ended all the same.
   */
  close(options: { readonly abandon?: boolean } = {}): Promise<void> {
    return (this.#closing ??= this.#close(options.abandon ?? false));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(abandon: boolean): Promise<void> {
    await this.settle();
    const open = abandon ? [] : this.leftovers();
    await this.#drive(this.#instance.close());
    await this.advance(LAST_TIMERS_MS);
    this.#isClosed = true;
    const found = [...open, ...this.leftovers()];
    if (found.length > 0) throw new LeftoversError("in the test cluster", found);
  }

  #drive<T>(work: Promise<T>): Promise<T> {
    return this.#clock === undefined ? work : drive(work, this.#clock);
  }
}
