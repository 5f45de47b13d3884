import { randomBytes } from "node:crypto";
import type { Application, DeploymentHandle } from "heliostat";
import { Instance } from "../../src/app/instance.ts";
import { processPlatform } from "../../src/app/platforms.ts";
import { buildApplication } from "../../src/core/deployment/application.ts";
import type { ReplicaClientListener } from "../../src/core/contracts/replica-client.ts";
import type { DeploymentSnapshot, ReplicaTarget } from "../../src/core/router/snapshot.ts";
import { connectSocket } from "../../src/transport/socket.ts";
import { CallerSession } from "../../src/wire/caller-session.ts";
import type { WireContext } from "../../src/wire/wire-context.ts";
import { type Echo, EchoDeployment } from "../fixtures/echo.ts";

/** An instance over processes as `serve.run` makes it, of which a benchmark also sees the inside. */
export class Driver {
  readonly #instance: Instance;
  readonly #context: WireContext;

  private constructor(instance: Instance, context: WireContext) {
    this.#instance = instance;
    this.#context = context;
  }

  static async open(): Promise<Driver> {
    let context!: WireContext;
    const instance = await Instance.open((given, ...others) => {
      context = given;
      return processPlatform()(given, ...others);
    });
    return new Driver(instance, context);
  }

  /** Starts `numReplicas` of the echo. @returns a handle, and where the replicas are. */
  async run(
    name: string,
    options: Parameters<typeof EchoDeployment.options>[0] = {},
  ): Promise<{ echo: DeploymentHandle<Echo>; pids: number[] }> {
    const echo = await this.runApp<Echo>(name, EchoDeployment.options(options).bind());
    return { echo, pids: await echo.broadcast("pid") };
  }

  /** Starts any application that has no route. */
  async runApp<T>(name: string, app: Application<T>): Promise<DeploymentHandle<T>> {
    const spec = buildApplication(app, { name, routePrefix: null });
    return (await this.#instance.run(spec)) as unknown as DeploymentHandle<T>;
  }

  /** A connection of its own to the first replica of an application, without handle and router. */
  async session(name: string, listener: ReplicaClientListener): Promise<CallerSession> {
    const target = await this.#target(name);
    const context = { ...this.#context, peerId: randomBytes(16) };
    return new CallerSession({ context, open: () => connectSocket(target.address.socketPath!), listener });
  }

  close(): Promise<void> {
    return this.#instance.close();
  }

  async #target(name: string): Promise<ReplicaTarget> {
    let unsubscribe!: () => void;
    const snapshot = await new Promise<DeploymentSnapshot>((resolve) => {
      unsubscribe = this.#instance.controller.directory.subscribe(name, "Echo", resolve);
    });
    unsubscribe();
    return snapshot.replicas[0]!;
  }
}
