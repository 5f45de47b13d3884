import { Client } from "../client/client.ts";
import { defaultHandleOptions } from "../core/deployment/handle-options.ts";
import { HeliostatError } from "../core/errors.ts";
import { deadlineOf } from "../core/handle/context.ts";
import { Handle } from "../core/handle/handle.ts";
import { ingressClass } from "../core/http/ingress.ts";
import type { DeploymentHandle } from "../core/handle/types.ts";
import type { ReplicaContext, RequestContext, Serve, ServeStatus } from "../core/serve-types.ts";
import { INGRESS } from "../core/router/snapshot.ts";
import { currentReplica, processState } from "../engine/process-state.ts";
import type { Instance } from "./instance.ts";
import type { Instances } from "./instances.ts";

let loading: Promise<Instances> | undefined;
let loaded: Instances | undefined;
/** The way to an instance outside of this process. */
let client: Client | undefined;

/** The driver's part is loaded when it is needed: a replica, which imports this module with the user's, never needs it. */
async function instances(): Promise<Instances> {
  loading ??= import("./instances.ts").then((module) => new module.Instances());
  return (loaded = await loading);
}

/** What runs in this driver now: for tests that look at what is left of it. */
export function openInstances(): readonly Instance[] {
  return loaded?.ready ?? [];
}

/** Runs applications, and tells code inside a replica where it is. */
export const serve: Serve = {
  async run(app, options = {}) {
    const { replica, builder } = processState;
    if (builder !== undefined) {
      builder.capture(app);
      return never();
    }
    if (replica !== undefined) {
      // The script is loaded in a replica for its definitions only: what follows is the driver's.
      const { name = "default" } = options;
      if (replica.parks({ app, name })) return never();
      return new Handle(
        replica.scriptCaller,
        { app: name, deployment: INGRESS },
        defaultHandleOptions,
      ) as unknown as DeploymentHandle<never>;
    }
    return (await (await instances()).run(app, options)) as unknown as DeploymentHandle<never>;
  },

  getAppHandle<T>(name = "default") {
    return handleTo<T>(name, loaded?.ingressOf(name) ?? INGRESS);
  },

  getDeploymentHandle<T>(name: string, app?: string) {
    return handleTo<T>(app ?? currentReplica()?.app ?? "default", name);
  },

  async status() {
    if (processState.replica !== undefined) return (await processState.replica.status()) as ServeStatus;
    if (loaded !== undefined && loaded.ready.length > 0) return loaded.status();
    return ((await outside().status()) as ServeStatus | undefined) ?? { applications: {}, proxies: [] };
  },

  async delete(name) {
    if (processState.replica?.parks() === true) return never();
    await loaded?.delete(name);
  },

  async shutdown() {
    if (processState.replica?.parks() === true) return never();
    client?.close();
    client = undefined;
    await loading;
    await loaded?.shutdown();
  },

  isReplica() {
    // A proxy loads the module for a routing policy in it; what a replica keeps out is to be kept out there too.
    return currentReplica() !== undefined || processState.builder?.loadsAgain === true;
  },

  getReplicaContext(): ReplicaContext {
    const found = currentReplica();
    if (found === undefined) {
      throw new HeliostatError(
        "serve.getReplicaContext() was called outside a replica. Call it in a deployment's constructor or methods.",
      );
    }
    return { ...found };
  },

  getRequestContext(): RequestContext {
    const scope = processState.contexts.get();
    if (scope === undefined) {
      throw new HeliostatError(
        "serve.getRequestContext() was called outside a request. Call it in a method while it serves a call.",
      );
    }
    const { clientAddress, requestId, route, traceparent, multiplexedModelId, clock, isOver } = scope;
    const deadlineMs = deadlineOf(scope);
    const deadline = deadlineMs === Infinity ? undefined : new Date(clock.wallNow() + deadlineMs - clock.now());
    let unbound: AbortSignal | undefined;
    return {
      clientAddress,
      requestId,
      route,
      traceparent,
      multiplexedModelId,
      deadline,
      get signal() {
        return isOver ? (unbound ??= new AbortController().signal) : scope.signal;
      },
    };
  },

  getMultiplexedModelId() {
    return serve.getRequestContext().multiplexedModelId;
  },

  ingress: ingressClass as Serve["ingress"],
};

function never(): Promise<never> {
  return new Promise(() => {});
}

function outside(): Client {
  return (client ??= new Client()).wake();
}

function handleTo<T>(app: string, deployment: string): DeploymentHandle<T> {
  const caller = processState.replica?.caller ?? loaded?.callerFor(app) ?? outside().caller;
  return new Handle(caller, { app, deployment }, defaultHandleOptions) as unknown as DeploymentHandle<T>;
}
