import type { CodeReference } from "../router/snapshot.ts";
import { hashText } from "../router/hash.ts";
import { type CodePlace, type CodeSites, stackCodeSites } from "./code-site.ts";

/** One thing that a module has defined. */
interface Definition {
  readonly target: Function;
  /** Made when it was seen first: whoever uses a thing twice uses the same thing. */
  readonly reference: CodeReference;
  /** What each call of `deployment()` with it looked like. */
  readonly sightings: Sighting[];
}

interface Sighting {
  readonly mark: string;
  /** The same of all that cannot be told from one another: they have one text, and were given to `deployment()` at one place. */
  readonly likeness: string;
  readonly place: CodePlace | undefined;
}

/**
 * What is defined where: the classes and functions given to `deployment()`, and the policies among its options.
 *
 * In a replica the user's module is loaded again and defines the same things, so that a reference made by the driver
 * finds them there. Several may have one name, and those that async functions define may come in another order: what a
 * reference finds must be certain, or it finds nothing.
 */
export class Definitions {
  readonly codeSites: CodeSites;
  /** By module and name, in the order of definition. */
  readonly #defined = new Map<string, Definition[]>();
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
  register(definition: {
    readonly module: string;
    readonly name: string;
    readonly target: Function;
    /** The name of the deployment, if it was given one: the surest way to tell one definition from another. */
    readonly as?: string | undefined;
    readonly place?: CodePlace | undefined;
  }): CodeReference {
    const { module, name, target, as = "", place } = definition;
    const key = keyOf(module, name);
    let all = this.#defined.get(key);
    if (all === undefined) {
      all = [];
      this.#defined.set(key, all);
      const names = this.#modules.get(module) ?? new Set();
      this.#modules.set(module, names.add(name));
    }
    const likeness = digest(`${as}\n${place?.position ?? ""}\n${Function.prototype.toString.call(target)}`);
    const alike = all.filter((each) => each.sightings.some((sighting) => sighting.likeness === likeness));
    const mark = alike.length === 0 ? likeness : `${likeness}.${alike.length}`;
    let known = all.find((each) => each.target === target);
    if (known === undefined) {
      known = { target, reference: { module, name, ordinal: all.length, mark }, sightings: [] };
      all.push(known);
    }
    if (!alike.includes(known)) known.sightings.push({ mark, likeness, place });
    return known.reference;
  }

  /**
   * The class or function behind a reference that was made in another process, when its module has defined all that it
   * will. undefined: there is none, or it might be another one.
   */
  find(reference: CodeReference): Function | undefined {
    const certain = this.certain(reference);
    if (certain !== undefined) return certain;
    const marked = this.marked(reference);
    if (marked !== undefined) return this.isAlone(reference) ? marked : undefined;
    // The text that the other process has is not this one: the file was changed, or a test runner has rewritten it.
    const all = this.#all(reference);
    return all.every(isOrdered) ? all[reference.ordinal]?.target : undefined;
  }

  /** The same while the module is still being loaded: what it defines later can change nothing about it. */
  certain(reference: CodeReference): Function | undefined {
    const counted = this.#all(reference)[reference.ordinal];
    if (reference.mark === undefined) return counted?.target;
    const marked = this.#sighting(reference);
    if (marked !== undefined) return marked.place?.isOrdered ? this.marked(reference) : undefined;
    return counted?.sightings.some(({ place }) => place?.isFirst) ? counted.target : undefined;
  }

  /** How many things of its module have the reference's name. */
  counted(reference: CodeReference): number {
    return this.#all(reference).length;
  }

  /** Whether something looks like what the reference is of, be it that or another. */
  resembles(reference: CodeReference): boolean {
    const likeness = reference.mark?.replace(/\..*/, "");
    return this.#all(reference).some(({ sightings }) => sightings.some((each) => each.likeness === likeness));
  }

  /** What has the reference's mark, certain or not. */
  marked(reference: CodeReference): Function | undefined {
    return this.#all(reference).find(({ sightings }) => sightings.some(({ mark }) => mark === reference.mark))?.target;
  }

  /** Whether what has the reference's mark is, so far, the only one that looks like it. */
  isAlone(reference: CodeReference): boolean {
    const likeness = this.#sighting(reference)?.likeness;
    const alike = this.#all(reference).filter(({ sightings }) => sightings.some((each) => each.likeness === likeness));
    return alike.length === 1;
  }

  /** What this process itself has made a reference to. */
  own({ mark, ...reference }: CodeReference): Function | undefined {
    const counted = this.#all(reference)[reference.ordinal];
    return counted !== undefined && counted.reference.mark === mark ? counted.target : undefined;
  }

  /** What a module has defined so far, for messages. */
  namesIn(module: string): string[] {
    return [...(this.#modules.get(module) ?? [])];
  }

  #sighting(reference: CodeReference): Sighting | undefined {
    return this.#all(reference)
      .flatMap(({ sightings }) => sightings)
      .find(({ mark }) => mark === reference.mark);
  }

  #all({ module, name }: CodeReference): readonly Definition[] {
    return this.#defined.get(keyOf(module, name)) ?? [];
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

function isOrdered({ sightings }: Definition): boolean {
  return sightings.some(({ place }) => place?.isOrdered);
}

function keyOf(module: string, name: string): string {
  return `${module}\n${name}`;
}

/** 64 bits that every process makes of the same text. */
function digest(text: string): string {
  return [0, 1].map((seed) => hashText(text, seed).toString(36)).join("-");
}
