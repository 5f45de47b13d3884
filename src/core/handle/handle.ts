import { ConfigError } from "../errors.ts";
import { givesNewHandleApi, resolveHandleOptions, type ResolvedHandleOptions } from "../deployment/handle-options.ts";
import { broadcast, type BroadcastResponse } from "./broadcast.ts";
import type { Caller } from "./caller.ts";
import type { MethodTarget } from "./method-target.ts";
import type { CallResponse } from "./response.ts";
import type { CallStream } from "./response-stream.ts";

type Returned = CallResponse | CallStream;

/** A handle as it travels: enough for another process to make its own. */
export interface HandleDescription {
  readonly app: string;
  readonly deployment: string;
  readonly options: Omit<ResolvedHandleOptions, "signal">;
}

/** One method of a deployment: calls it, through the router that all handles to the deployment share. */
export class MethodCaller {
  readonly #target: MethodTarget;
  readonly #options: ResolvedHandleOptions;

  constructor(caller: Caller, app: string, deployment: string, options: ResolvedHandleOptions) {
    this.#options = options;
    this.#target = {
      ...options,
      app,
      deployment,
      method: options.methodName,
      broadcast: false,
      caller,
      router: caller.router(app, deployment),
    };
  }

  remote = (...args: unknown[]): Returned => this.#target.caller.call(this.#target, args, this.remote);

  options(options: object): MethodCaller {
    if (Object.hasOwn(options, "methodName")) {
      throw new ConfigError("This handle is one method already: give methodName to the deployment's handle instead.", {
        path: "methodName",
      });
    }
    const { caller, app, deployment } = this.#target;
    return new MethodCaller(caller, app, deployment, derive(caller, options, this.#options));
  }
}

/**
 * A deployment's handle: `remote`, `options`, `broadcast`, and every other name is a method of the deployment.
 *
 * Names are looked up once: the first look finds the prototype's proxy, which puts the method on the handle itself, so
 * that later ones are plain property reads.
 */
export class Handle {
  readonly appName: string;
  readonly deploymentName: string;
  readonly #caller: Caller;
  readonly #options: ResolvedHandleOptions;
  #default: MethodCaller | undefined = undefined;

  constructor(
    caller: Caller,
    name: { readonly app: string; readonly deployment: string },
    options: ResolvedHandleOptions,
  ) {
    this.#caller = caller;
    this.appName = name.app;
    this.deploymentName = name.deployment;
    this.#options = options;
  }

  /** The description of a value that is a handle. */
  static describe(value: object): HandleDescription | undefined {
    if (!(#caller in value)) return undefined;
    const { signal: _, ...options } = value.#options;
    return { app: value.appName, deployment: value.deploymentName, options };
  }

  static method(handle: Handle, methodName: string): MethodCaller {
    return new MethodCaller(handle.#caller, handle.appName, handle.deploymentName, { ...handle.#options, methodName });
  }

  get remote(): (...args: unknown[]) => Returned {
    return (this.#default ??= Handle.method(this, this.#options.methodName)).remote;
  }

  options(options: object): Handle {
    return new Handle(
      this.#caller,
      { app: this.appName, deployment: this.deploymentName },
      derive(this.#caller, options, this.#options),
    );
  }

  broadcast(methodName: string, ...args: unknown[]): BroadcastResponse {
    const { appName: app, deploymentName: deployment } = this;
    const caller = this.#caller;
    const router = caller.router(app, deployment);
    const target = {
      ...this.#options,
      app,
      deployment,
      method: methodName,
      stream: false,
      broadcast: true,
      caller,
      router,
    };
    return broadcast(target, args, caller.site(this.broadcast));
  }

  toString(): string {
    return `DeploymentHandle(${this.appName}/${this.deploymentName})`;
  }
}

function derive(caller: Caller, options: object, previous: ResolvedHandleOptions): ResolvedHandleOptions {
  const derived = resolveHandleOptions(options, previous);
  if (givesNewHandleApi(options)) caller.warnOfNewHandleApi();
  return derived;
}

/** `then` must not be one: an awaited handle is itself. Symbols and what every object has are not methods either. */
const methods = new Proxy(Object.create(Object.prototype) as object, {
  get(target, key, receiver) {
    if (typeof key === "symbol" || key === "then" || key in Object.prototype || !(receiver instanceof Handle)) {
      return Reflect.get(target, key, receiver) as unknown;
    }
    const method = Handle.method(receiver, key);
    Object.defineProperty(receiver, key, { value: method, configurable: true, enumerable: false });
    return method;
  },
});
Object.setPrototypeOf(Handle.prototype, methods);
