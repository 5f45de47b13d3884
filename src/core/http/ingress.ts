import { ConfigError, DeploymentFailedError } from "../errors.ts";
import type { FetchApp } from "../serve-types.ts";

/** On a class: what to tell whoever waits long for an instance of it. */
export const WHILE_CONSTRUCTED = Symbol("while constructed");

type Build = (...handles: unknown[]) => unknown;

/**
 * A deployment class that answers HTTP with an app: one that is there, or one that a function makes of the handles that
 * were bound, once in each replica.
 *
 * The app itself is not the instance, since some apps answer to any name, also to those of life-cycle methods.
 *
 * @throws {ConfigError} for what is neither.
 */
export function ingressClass(given: unknown): new (...handles: never[]) => FetchApp {
  if (!isFetchApp(given) && typeof given !== "function")
    throw new ConfigError(
      `serve.ingress() takes an app with a method fetch(request), or a function that makes one, not ${given === null ? "null" : typeof given}. Write serve.ingress(new Hono()), or serve.ingress((model) => …).`,
      { path: "app" },
    );
  return class Ingress implements FetchApp {
    static readonly [WHILE_CONSTRUCTED] =
      "The function given to serve.ingress() has not given its app yet. If it is async and gives an itty-router app, it never will: that app has a then of its own, for which await waits. Let it give { fetch: router.fetch } instead.";
    #app!: FetchApp;

    static async create(...handles: unknown[]): Promise<Ingress> {
      const ingress = new Ingress();
      const made: unknown = isFetchApp(given) ? given : (given as Build)(...handles);
      // An app that answers to any name has a `then` too: awaited, it would never come.
      const app: unknown = isFetchApp(made) ? made : await made;
      if (!isFetchApp(app))
        throw new DeploymentFailedError(
          `The function given to serve.ingress() gave ${app === null ? "null" : typeof app}; it must give an app with a method fetch(request).`,
          { deployment: "Ingress" },
        );
      ingress.#app = app;
      return ingress;
    }

    fetch(request: Request): Response | Promise<Response> {
      return this.#app.fetch(request);
    }
  };
}

function isFetchApp(value: unknown): value is FetchApp {
  const isObject = (typeof value === "object" && value !== null) || typeof value === "function";
  return isObject && typeof (value as Partial<FetchApp>).fetch === "function";
}
