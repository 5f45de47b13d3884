import { definitions } from "../core/deployment/definitions.ts";
import type { CodeReference } from "../core/router/snapshot.ts";
import { DeploymentFailedError } from "../core/errors.ts";

/** How long a script may take from the end of its import to `serve.run`, where it does so in an async function. */
const PARK_MS = 10_000;

/**
 * Finds a deployment's class or function by loading the module that defines it.
 *
 * The definitions of the module register themselves while it is evaluated. A script that goes on to `serve.run` waits
 * there for ever, so its import never ends: being parked counts as loaded.
 */
export class CodeLoader {
  #parked!: () => void;
  readonly #park = new Promise<void>((resolve) => {
    this.#parked = resolve;
  });

  /** The script has reached `serve.run`. */
  onPark(): void {
    this.#parked();
  }

  /** @throws {DeploymentFailedError} if the module loads but does not define it; what the module throws, if it does not load. */
  async load(reference: CodeReference, deployment: string): Promise<Function> {
    const imported = import(reference.module) as Promise<Record<string, unknown>>;
    const exported = await Promise.race([imported, this.#park.then(() => undefined)]);
    const found = definitions.find(reference) ?? (exported === undefined ? undefined : findExport(exported, reference.name));
    if (found !== undefined) return found;
    // The module is loaded, but an async function of it may still be on its way to serve.run.
    const parked = await this.#parkedWithin(exported === undefined ? 0 : PARK_MS);
    const late = definitions.find(reference);
    if (late !== undefined) return late;
    throw new DeploymentFailedError(
      `The code of deployment "${deployment}" was not found: loading ${reference.module} did not define ${reference.name || "the function"} ` +
        `(${parked ? "it reached serve.run without it" : "it was loaded to its end"}). Replicas load the module again, so the class must be defined whenever it is loaded: ` +
        `move ${reference.name || "it"} and its deployment() call to the top level of the module, or export the class from a module of its own and give deployment(..., { module: import.meta.url }) there. ` +
        `To run everything in one process instead, as in a test, use serve.run(app, { local: true }).`,
      { deployment },
    );
  }

  #parkedWithin(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(timeoutMs === 0), timeoutMs);
      void this.#park.then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }
}

/** A class that its module exports but does not deploy itself. */
function findExport(exported: Record<string, unknown>, name: string): Function | undefined {
  const named = exported[name];
  if (typeof named === "function") return named;
  const { default: main } = exported;
  return typeof main === "function" && main.name === name ? main : undefined;
}
