import { buildApplication } from "../core/deployment/application.ts";
import { definitions } from "../core/deployment/definitions.ts";
import type { DeploymentSpec, ReplicaSpec } from "../core/deployment/spec.ts";
import { DeploymentFailedError } from "../core/errors.ts";
import { notFound } from "./code-not-found.ts";

/** How long a script may take from the end of its import to `serve.run`, where it does so in an async function. */
const PARK_MS = 10_000;
/** How often to look whether anything is still going on in it. */
const LOOK_MS = 25;

/** What the script gives to `serve.run`. */
export interface ScriptRun {
  readonly app: unknown;
  readonly name: string;
}

type Wanted = Pick<ReplicaSpec, "app" | "deployment" | "code" | "codeDigest">;

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
  #wanted: Wanted | undefined = undefined;
  #found: Function | undefined = undefined;
  /** What the script has run under other names: it is not what is looked for, though it may look like it. */
  readonly #others = new Set<Function>();
  #waits = false;

  /** The script has reached what only the driver does. Returns whether it waits there for ever. */
  parks(run?: ScriptRun): boolean {
    if (this.#wanted !== undefined) {
      this.#found ??= this.#decide(this.#wanted, run);
      if (this.#found === undefined) return false;
    }
    this.#parked();
    return true;
  }

  /** The script waits for what never comes in a replica: the outcome of a call it has made. */
  stop(): void {
    this.#waits = true;
    this.#parked();
  }

  /** @throws {DeploymentFailedError} if the module loads but does not define it; what the module throws, if it does not load. */
  async load(wanted: Wanted): Promise<Function> {
    const { code } = wanted;
    this.#wanted = wanted;
    const idleResources = process.getActiveResourcesInfo().length;
    const imported = importModule(code.module);
    const exported = await Promise.race([imported, this.#park.then(() => undefined)]);
    const found = this.#found ?? definitions.certain(code);
    if (found !== undefined) return found;
    if (exported !== undefined && definitions.counted(code) === 0) {
      const named = findExport(exported, code.name);
      if (named !== undefined) return named;
    }
    // The module is loaded, but an async function of it may still be on its way to serve.run.
    if (exported !== undefined) await this.#parkedWithin(PARK_MS, idleResources);
    const late = this.#found ?? (this.#waits ? this.#alone(wanted) : definitions.find(code));
    if (late !== undefined) return late;
    throw new DeploymentFailedError(notFound(wanted, { waits: this.#waits }), { deployment: wanted.deployment });
  }

  /** What is looked for, if that is sure by now. What an application has under the deployment's name is, whatever came before it. */
  #decide(wanted: Wanted, run: ScriptRun | undefined): Function | undefined {
    const { code, app, deployment, codeDigest } = wanted;
    const certain = definitions.certain(code);
    if (certain !== undefined || run === undefined) return certain;
    const ran = deploymentsOf(run);
    // Who only builds the application of a script takes the first that it runs, under a name of their own.
    const isOwn = run.name === app || codeDigest !== undefined;
    const own = isOwn ? ran.find(({ name }) => name === deployment) : undefined;
    if (own?.code.module === code.module && own.code.name === code.name) {
      const marked = definitions.marked(code);
      // Without its mark, its file was changed since the driver has loaded it.
      if (marked === undefined ? own.code.ordinal === code.ordinal : own.target === marked) return own.target;
    }
    for (const { target } of ran) this.#others.add(target!);
    return this.#alone(wanted);
  }

  /** What has the mark of what is looked for, if nothing else can have it yet. */
  #alone({ code }: Wanted): Function | undefined {
    const certain = definitions.certain(code);
    if (certain !== undefined) return certain;
    const marked = definitions.marked(code);
    return marked !== undefined && !this.#others.has(marked) && definitions.isAlone(code) ? marked : undefined;
  }

  /** Waits while the module still has something going on, such as an async function that reads a file before it deploys. */
  #parkedWithin(timeoutMs: number, idleResources: number): Promise<void> {
    return new Promise((resolve) => {
      let leftMs = timeoutMs;
      const timer = setInterval(() => {
        leftMs -= LOOK_MS;
        if (leftMs > 0 && process.getActiveResourcesInfo().length > idleResources) return;
        clearInterval(timer);
        resolve();
      }, LOOK_MS).unref();
      void this.#park.then(() => {
        clearInterval(timer);
        resolve();
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

/** The deployments of an application by the names that they have in it, also if it is one that the driver would refuse. */
function deploymentsOf({ app, name }: ScriptRun): readonly DeploymentSpec[] {
  try {
    return buildApplication(app, { name, routePrefix: null }).deployments;
  } catch {
    return [];
  }
}
