import type { Limits } from "../limits.ts";
import { checkBinary } from "./binary.ts";
import { checkBare } from "./encode-rich.ts";
import type { ValueExtension } from "./extension.ts";
import { type Kind, kindOf } from "./kinds.ts";
import { tooDeep, Unsendable } from "./unsendable.ts";
import { unsupported, unsupportedBy } from "./unsupported.ts";

/** What a format that is not our own can carry, and how what it cannot is put. */
export interface CopyRules {
  readonly format: string;
  readonly limits: Limits;
  readonly extension: ValueExtension;
  /** Kinds of objects that it carries, beside plain objects and arrays. */
  readonly kinds: ReadonlySet<Kind>;
  /** Whether it keeps cycles, and that two places hold the same object. */
  readonly references: boolean;
  readonly holes: boolean;
  /** Writes a number, string, bigint or undefined in its own way; throws for what it cannot carry. */
  primitive(value: unknown, place: "property" | "element"): unknown;
  /** Writes an object that is neither plain nor an array; `copy` copies what is inside it. */
  rich(value: object, kind: Kind, inside: Inside): unknown;
  /** What stands for a handle. */
  reference(description: unknown): unknown;
  /** A last word on a copied plain object. */
  object?(copy: Record<string, unknown>): unknown;
}

/** For what an object holds in slots of its own. */
export interface Inside {
  copy(value: unknown): unknown;
  /** The copy of the object itself, told before what is inside is copied: it may lead back here. */
  begins(copy: object): void;
}

/**
 * Copies a value into plain data that another serializer keeps exactly, or says what it would change.
 *
 * A copy, not only a check: getters run once, and what is written is what was checked.
 */
export class PlainCopy {
  readonly #rules: CopyRules;
  /** What was met, and its copy. */
  readonly #met = new Map<object, unknown>();
  #depth = 0;

  constructor(rules: CopyRules) {
    this.#rules = rules;
  }

  value(value: unknown, place: "property" | "element" = "property"): unknown {
    switch (typeof value) {
      case "object":
        return value === null ? null : this.#objectLike(value);
      case "boolean":
        return value;
      case "function": {
        const description = this.#rules.extension.describe(value);
        if (description === undefined) throw unsupported(value);
        return this.#rules.reference(description);
      }
      case "symbol":
        throw unsupported(value);
      default:
        return this.#rules.primitive(value, place);
    }
  }

  #objectLike(value: object): unknown {
    const { references, format, limits } = this.#rules;
    if (this.#met.has(value)) {
      if (references) return this.#met.get(value);
      throw unsupportedBy(
        format,
        "an object that the value holds in more than one place",
        'use the "structured" format, or send a copy',
      );
    }
    if (++this.#depth > limits.maxDepth) throw tooDeep(limits.maxDepth);
    this.#met.set(value, undefined);
    const copy = this.#copyOf(value);
    this.#met.set(value, copy);
    this.#depth--;
    return copy;
  }

  #copyOf(value: object): unknown {
    const { extension, kinds, format } = this.#rules;
    const prototype = Object.getPrototypeOf(value) as unknown;
    if (prototype === null || prototype === Object.prototype) return this.#object(value as Record<string, unknown>);
    const kind = kindOf(value);
    if (kind === "array") return this.#array(value as unknown[]);
    if (kind === "object") return this.#object(value as Record<string, unknown>);
    const description = extension.describe(value);
    if (description !== undefined) return this.#rules.reference(description);
    if (kind === "other") throw unsupported(value);
    if (!kinds.has(kind)) throw unsupportedBy(format, nameOf(kind));
    if (kind === "view" || kind === "buffer") checkBinary(value as ArrayBuffer | ArrayBufferView);
    else if (kind !== "error") checkBare(value, kind);
    return this.#rich(value, kind);
  }

  #rich(value: object, kind: Kind): unknown {
    if (kind !== "map" && kind !== "set") return this.#rules.rich(value, kind, this.#inside(value));
    let of: "key" | "value" | "member" = kind === "map" ? "key" : "member";
    let key: unknown;
    const copy: Map<unknown, unknown> | Set<unknown> = kind === "map" ? new Map() : new Set();
    this.#met.set(value, copy);
    try {
      if (copy instanceof Map) {
        Map.prototype.forEach.call(value, (member, memberKey) => {
          key = memberKey;
          of = "key";
          const copiedKey = this.#element(memberKey);
          of = "value";
          copy.set(copiedKey, this.#element(member));
        });
      } else {
        Set.prototype.forEach.call(value, (member) => {
          key = member;
          copy.add(this.#element(member));
        });
      }
    } catch (thrown) {
      throw Unsendable.at(thrown, { of, key });
    }
    return this.#rules.rich(copy, kind, this.#inside(value));
  }

  #element(value: unknown): unknown {
    return this.value(value, "element");
  }

  #inside(value: object): Inside {
    return { copy: (inner) => this.#element(inner), begins: (copy) => this.#met.set(value, copy) };
  }

  #object(value: Record<string, unknown>): unknown {
    const copy: Record<string, unknown> = {};
    this.#met.set(value, copy);
    let at = "";
    try {
      for (const key of Object.keys(value)) {
        at = key;
        const inner = this.value(value[key]);
        if (key === "__proto__")
          Object.defineProperty(copy, key, { value: inner, enumerable: true, configurable: true, writable: true });
        else copy[key] = inner;
      }
    } catch (thrown) {
      throw Unsendable.at(thrown, at);
    }
    for (const symbol of Object.getOwnPropertySymbols(value)) {
      if (!Object.prototype.propertyIsEnumerable.call(value, symbol)) continue;
      throw unsupportedBy(
        this.#rules.format,
        `an object with a property named by a symbol, ${String(symbol)}`,
        "name it by a string",
      );
    }
    return this.#rules.object?.(copy) ?? copy;
  }

  #array(value: readonly unknown[]): unknown {
    const { format, holes } = this.#rules;
    const copy: unknown[] = [];
    this.#met.set(value, copy);
    const keys = Object.keys(value);
    const { length } = value;
    const last = keys.at(-1);
    if (last !== undefined && !(Number(last) < length))
      throw unsupportedBy(
        format,
        `an array with a property of its own, ${JSON.stringify(last)}`,
        "send [...array], or an object",
      );
    if (keys.length < length && !holes)
      throw unsupportedBy(format, "an array with holes", "fill them, with null for example");
    if (keys.length < length) setLength(copy, length);
    let at = 0;
    try {
      for (const key of keys) {
        at = Number(key);
        copy[at] = this.value(value[at], "element");
      }
    } catch (thrown) {
      throw Unsendable.at(thrown, at);
    }
    return copy;
  }
}

/** Through a last element that is taken away again, an array gets long without getting large. */
function setLength(array: unknown[], length: number): void {
  array[length - 1] = undefined;
  Reflect.deleteProperty(array, length - 1);
}

function nameOf(kind: Kind): string {
  switch (kind) {
    case "error":
      return "an Error";
    case "view":
    case "buffer":
      return "binary";
    case "date":
      return "a Date";
    case "regexp":
      return "a RegExp";
    case "map":
      return "a Map";
    default:
      return `a ${kind === "set" ? "Set" : kind}`;
  }
}
