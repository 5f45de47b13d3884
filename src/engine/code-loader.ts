import { definitions } from "../core/deployment/definitions.ts";
import type { CodeReference } from "../core/router/snapshot.ts";
import { DeploymentFailedError } from "../core/errors.ts";

/** How long a script may take from the end of its import to `serve.run`, where it does so in an async function. */
const PARK_MS = 10_000;
/** How often to look whether anything is still going on in it. */
const LOOK_MS = 25;

/**
 * Finds a deployment's class or function by loading the module that defines it.
 *
 * The definitions of the module register themselves while it is evaluated. A script that goes on to `serve.run` waits
 * there for ever, so its import never ends: being parked counts as loaded. Only if what is looked for is not defined by
 * then does the script go on, as one must that runs several applications one after another.
 */
export class CodeLoader {
  #parked!: () => void;
  readonly #park = new Promise<void>((resolve) => {
    this.#parked = resolve;
  });
  #reference: CodeReference | undefined = undefined;

  /** The script has reached what only the driver does. Returns whether it waits there for ever. */
  parks(): boolean {
    if (this.#reference !== undefined && definitions.find(this.#reference) === undefined) return false;
    this.#parked();
    return true;
  }

  /** The script waits for what never comes in a replica: the outcome of a call it has made. */
  stop(): void {
    this.#parked();
  }

  /** @throws {DeploymentFailedError} if the module loads but does not define it; what the module throws, if it does not load. */
  async load(reference: CodeReference, deployment: string): Promise<Function> {
    this.#reference = reference;
    const idleResources = process.getActiveResourcesInfo().length;
    const imported = importModule(reference.module);
    const exported = await Promise.race([imported, this.#park.then(() => undefined)]);
    const found =
      definitions.find(reference) ?? (exported === undefined ? undefined : findExport(exported, reference.name));
    if (found !== undefined) return found;
    // The module is loaded, but an async function of it may still be on its way to serve.run.
    const parked = await this.#parkedWithin(exported === undefined ? 0 : PARK_MS, idleResources);
    const late = definitions.find(reference);
    if (late !== undefined) return late;
    throw new DeploymentFailedError(
      `The code of deployment "${deployment}" was not found: loading ${reference.module} did not define ${reference.name || "the function"} ` +
        `(${parked ? "it waits for a call without having defined it" : "it was loaded to its end"}). Replicas load the module again, so the class must be defined whenever it is loaded: ` +
        `move ${reference.name || "it"} and its deployment() call to the top level of the module, or export the class from a module of its own and give deployment(..., { module: import.meta.url }) there. ` +
        `To run everything in one process instead, as in a test, use serve.run(app, { local: true }).`,
      { deployment },
    );
  }

  /** Waits while the module still has something going on, such as an async function that reads a file before it deploys. */
  #parkedWithin(timeoutMs: number, idleResources: number): Promise<boolean> {
    return new Promise((resolve) => {
      let leftMs = timeoutMs;
      const timer = setInterval(() => {
        leftMs -= LOOK_MS;
        if (leftMs > 0 && process.getActiveResourcesInfo().length > idleResources) return;
        clearInterval(timer);
        resolve(timeoutMs === 0);
      }, LOOK_MS).unref();
      void this.#park.then(() => {
        clearInterval(timer);
        resolve(true);
      });
    });
  }
}

async function importModule(module: string): Promise<Record<string, unknown>> {
  try {
    return (await import(module)) as Record<string, unknown>;
  } catch (error) {
    // A syntax error says neither in its message nor in its stack where it is.
    if (error instanceof SyntaxError) error.message += ` (while loading ${module})`;
    throw error;
  }
}

/** A class that its module exports but does not deploy itself. */
function findExport(exported: Record<string, unknown>, name: string): Function | undefined {
  const named = exported[name];
  if (typeof named === "function") return named;
  const { default: main } = exported;
  return typeof main === "function" && main.name === name ? main : undefined;
}
