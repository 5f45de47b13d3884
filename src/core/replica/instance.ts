import { DeploymentFailedError } from "../errors.ts";
import { READY } from "../http/ingress.ts";
import { isThenable } from "./thenable.ts";

/** A class's life-cycle methods as the host calls them. */
interface Hooks {
  reconfigure?(userConfig: unknown): unknown;
  checkHealth?(): unknown;
  recordRoutingStats?(): unknown;
  [Symbol.asyncDispose]?(): PromiseLike<void>;
  [Symbol.dispose]?(): void;
}

/** Makes what a replica serves: an instance, by the class's static `create` if it has one, or the function itself. */
export async function construct(
  target: Function,
  kind: "class" | "function",
  args: readonly unknown[],
): Promise<object | Function> {
  if (kind === "function") return target;
  const { create } = target as { create?: unknown };
  const hasCreate = typeof create === "function";
  const made: unknown = hasCreate ? Reflect.apply(create, target, args) : Reflect.construct(target, args);
  // Awaited, it would be taken for a promise, and the replica would never be ready.
  if (isThenable(made) && !(made instanceof Promise) && (!hasCreate || made instanceof target))
    throw failed(
      target,
      `An instance of ${target.name} has a member "then", for which await takes it for a promise. Rename it.`,
    );
  const instance: unknown = await made;
  if (typeof instance !== "object" || instance === null) {
    const what = instance === null ? "null" : typeof instance;
    throw failed(target, `${target.name}.create() gave ${what}; it must give an instance of the class.`);
  }
  await (instance as { readonly [READY]?: unknown })[READY];
  return instance;
}

function failed(target: Function, message: string): DeploymentFailedError {
  return new DeploymentFailedError(message, { deployment: target.name });
}

/** @throws {DeploymentFailedError} if the class cannot be reconfigured, and whatever its method throws. */
export async function reconfigure(instance: object | Function, deployment: string, userConfig: unknown): Promise<void> {
  const hooks = instance as Hooks;
  if (typeof hooks.reconfigure !== "function") {
    throw new DeploymentFailedError(
      `Deployment "${deployment}" has a userConfig but no method reconfigure(userConfig) to receive it. Add the method, or remove the option.`,
      {
        deployment,
      },
    );
  }
  await hooks.reconfigure(userConfig);
}

/** Throws what the user's check throws; without a check everything is well. */
export async function checkHealth(instance: object | Function): Promise<void> {
  await (instance as Hooks).checkHealth?.();
}

/** The way to ask for routing stats, or undefined if the class has none. */
export function routingStatsOf(instance: object | Function): (() => unknown) | undefined {
  const hooks = instance as Hooks;
  return typeof hooks.recordRoutingStats === "function" ? () => hooks.recordRoutingStats!() : undefined;
}

/** Runs the destructor, if there is one. */
export async function dispose(instance: object | Function): Promise<void> {
  const hooks = instance as Hooks;
  if (typeof hooks[Symbol.asyncDispose] === "function") await hooks[Symbol.asyncDispose]!();
  else if (typeof hooks[Symbol.dispose] === "function") hooks[Symbol.dispose]!();
}
