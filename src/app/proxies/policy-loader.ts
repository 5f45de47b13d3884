import type { Log } from "../../core/contracts/log.ts";
import { definitions } from "../../core/deployment/definitions.ts";
import { errorText } from "../../core/error-text.ts";
import type { DeploymentSnapshot } from "../../core/router/snapshot.ts";
import { processState } from "../../engine/process-state.ts";

/**
 * Loads users' modules for the routing policies that are defined in them, in a process that runs none of their code
 * otherwise. Each is loaded once: a policy that was changed is another only in another process.
 */
export class PolicyLoader {
  readonly #log: Log;
  readonly #loading = new Map<string, Promise<void>>();
  #parked = Promise.withResolvers<void>();

  constructor(log: Log) {
    this.#log = log;
    // A script that goes on to `serve.run` waits there for ever: by then it has defined what it runs.
    processState.builder = { loadsAgain: true, capture: () => this.#parked.resolve() };
  }

  /** What a snapshot is to wait for until its policy can be asked; undefined if for nothing. Never rejects. */
  prepare({ policy }: DeploymentSnapshot): Promise<void> | undefined {
    if (typeof policy === "string" || definitions.find(policy) !== undefined) return undefined;
    const { module } = policy;
    const loading = this.#loading.get(module) ?? this.#load(module);
    this.#loading.set(module, loading);
    return loading;
  }

  async #load(module: string): Promise<void> {
    this.#parked = Promise.withResolvers();
    try {
      await Promise.race([import(module), this.#parked.promise]);
    } catch (error) {
      this.#log.warn(`The routing policy in ${module} cannot be loaded: ${errorText(error)}`);
    }
  }
}
