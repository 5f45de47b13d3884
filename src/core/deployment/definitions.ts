import type { RouterPolicy } from "../router/policy.ts";
import type { CodeReference } from "../router/snapshot.ts";
import { stackCodeSites, type CodeSites } from "./code-site.ts";

/**
 * What is defined where: the classes and functions given to `deployment()`, and the policies among its options.
 *
 * In a replica the user's module is imported again and defines the same things in the same order, so that a reference
 * made by the driver finds them there.
 */
export class Definitions {
  readonly codeSites: CodeSites;
  /** By module and name, in the order of definition. */
  readonly #defined = new Map<string, Function[]>();
  readonly #modules = new Map<string, Set<string>>();

  constructor(codeSites: CodeSites) {
    this.codeSites = codeSites;
  }

  /**
   * Records a definition and names it.
   *
   * What was defined before keeps its reference: the order counts different things of one name, so that a
   * module which uses a class twice gives the same references as one that stops half-way, as it does in a replica.
   */
  register(definition: { readonly module: string; readonly name: string; readonly target: Function }): CodeReference {
    const { module, name, target } = definition;
    const key = keyOf(module, name);
    let targets = this.#defined.get(key);
    if (targets === undefined) {
      targets = [];
      this.#defined.set(key, targets);
      const names = this.#modules.get(module) ?? new Set();
      this.#modules.set(module, names.add(name));
    }
    let ordinal = targets.indexOf(target);
    if (ordinal === -1) ordinal = targets.push(target) - 1;
    return { module, name, ordinal };
  }

  /** The class or function behind a reference, if its module has defined it in this process. */
  find(reference: CodeReference): Function | undefined {
    return this.#defined.get(keyOf(reference.module, reference.name))?.[reference.ordinal];
  }

  /** The routing policy behind a reference. The types cannot tell: a reference of `ResolvedOptions.policy` always names one. */
  policy(reference: CodeReference): RouterPolicy | undefined {
    return this.find(reference) as RouterPolicy | undefined;
  }

  /** What a module has defined so far, for messages. */
  namesIn(module: string): string[] {
    return [...(this.#modules.get(module) ?? [])];
  }
}

/**
 * The one registry of a process.
 *
 * It has to be shared: the user's module writes it by importing the package, and the replica's own code, which may have
 * come from another copy of the package, reads it. Passing it in is not possible, because `deployment()` is called by
 * whoever imports it.
 */
export const definitions: Definitions = shared();

function shared(): Definitions {
  const place = globalThis as unknown as Record<symbol, Definitions | undefined>;
  return (place[Symbol.for("heliostat.definitions.1")] ??= new Definitions(stackCodeSites));
}

function keyOf(module: string, name: string): string {
  return `${module}\n${name}`;
}
