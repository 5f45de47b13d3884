import { isClass, show } from "../deployment/option-checks.ts";
import { ConfigError, DeploymentFailedError } from "../errors.ts";
import type { FetchApp } from "../serve-types.ts";
import { isResponse } from "./response-head.ts";

/** On a class: what to tell whoever waits long for an instance of it. */
export const WHILE_CONSTRUCTED = Symbol("while constructed");
/** On an instance: resolves when it can be used, if that is not at once. */
export const READY: unique symbol = Symbol.for("heliostat.ready");

const APP = Symbol("app");

/** What an app may have beside `fetch`. */
const OPTIONAL = [
  "websocket",
  "acceptWebSocket",
  "reconfigure",
  "checkHealth",
  "recordRoutingStats",
  "recordAutoscalingStats",
  Symbol.asyncDispose,
  Symbol.dispose,
] as const;

type Build = (...handles: unknown[]) => unknown;

/**
 * A deployment class that answers HTTP with an app: one that is there, or one that a function makes of the handles that
 * were bound, once in each replica. It can be extended as any class, also by one with a static `create`.
 *
 * The app itself is not the instance, since some apps answer to any name, also to those of life-cycle methods.
 *
 * @throws {ConfigError} for what is neither.
 */
export function ingressClass(given: unknown): new (...handles: never[]) => FetchApp {
  checkGiven(given);
  class Ingress implements FetchApp {
    static readonly [WHILE_CONSTRUCTED] =
      "The function given to serve.ingress() has not given its app yet. If it is async and gives an itty-router app, it never will: that app has a then of its own, for which await waits. Let it give { fetch: router.fetch } instead.";
    [APP]: FetchApp | undefined = undefined;
    readonly [READY]: Promise<void> | undefined;

    constructor(...handles: unknown[]) {
      const made: unknown = isFetchApp(given) ? given : (given as Build)(...handles);
      // An app that answers to any name has a `then` too: awaited, it would never come.
      if (isFetchApp(made) || !isThenable(made)) {
        this[APP] = checkedApp(made);
        return;
      }
      this[READY] = Promise.resolve(made).then((app) => {
        this[APP] = checkedApp(app);
      });
      // Whoever waits for it is told, and nobody need.
      this[READY].catch(() => {});
    }

    fetch(request: Request): Response | Promise<Response> {
      const app = this[APP];
      return app === undefined ? this[READY]!.then(() => this[APP]!.fetch(request)) : app.fetch(request);
    }
  }
  for (const name of OPTIONAL) Object.defineProperty(Ingress.prototype, name, delegation(name));
  return Ingress;
}

/** A member that is there if the app has it; a class that extends this one may define its own, and call it by `super`. */
function delegation(name: string | symbol): PropertyDescriptor {
  return {
    configurable: true,
    get(this: { readonly [APP]?: FetchApp }) {
      const app = this[APP];
      const member = app === undefined ? undefined : memberOf(app, name);
      return member && ((...args: unknown[]): unknown => Reflect.apply(member, app, args));
    },
    set(value: unknown) {
      Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
    },
  };
}

/** A method that an app really has: some make one of any name that they are asked for. */
function memberOf(app: object, name: string | symbol): Function | undefined {
  let holder: object | null = app;
  while (holder !== null && !Object.hasOwn(holder, name)) holder = Object.getPrototypeOf(holder) as object | null;
  const member: unknown = holder === null ? undefined : Reflect.get(app, name);
  return typeof member === "function" ? member : undefined;
}

function checkGiven(given: unknown): void {
  const error = (text: string): ConfigError => new ConfigError(`serve.ingress() takes ${text}`, { path: "app" });
  if (isFetchApp(given)) return;
  if (isClass(given)) {
    const name = given.name || "MyApp";
    throw error(
      `an app, not ${show(given)}. Write serve.ingress(new ${name}()), or, if it is a deployment class itself, deployment(${name}).`,
    );
  }
  if (typeof given === "function") {
    if (given.name !== "fetch" && given.name !== "bound fetch") return;
    throw error("the app itself, not its method fetch. Write serve.ingress(app) instead of serve.ingress(app.fetch).");
  }
  if (isThenable(given))
    throw error("an app, not a promise of one. Write serve.ingress(await app), or serve.ingress(async () => …).");
  throw error(
    `an app with a method fetch(request), or a function that makes one, not ${show(given)}. Write serve.ingress(new Hono()), or serve.ingress((model) => …).`,
  );
}

/** @throws {DeploymentFailedError} if what the function has made is no app. */
function checkedApp(made: unknown): FetchApp {
  if (isFetchApp(made)) return made;
  throw new DeploymentFailedError(
    isResponse(made)
      ? "The function given to serve.ingress() gave a Response: it answers requests, and makes no app. Write serve.ingress({ fetch: … }) with it."
      : `The function given to serve.ingress() gave ${made === null ? "null" : typeof made}; it must give an app with a method fetch(request).`,
    { deployment: "Ingress" },
  );
}

function isFetchApp(value: unknown): value is FetchApp {
  return isObject(value) && typeof (value as Partial<FetchApp>).fetch === "function";
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return isObject(value) && typeof (value as { then?: unknown }).then === "function";
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}
