import type * as v from "valibot";
import { nearestName, show } from "../core/deployment/option-checks.ts";
import { notPlain } from "./plain-data.ts";
import { pathOf, type Problem } from "./problem.ts";
import { fromRayKey, fromRayRouter, ROUTER_STATS, toRayKey } from "./ray-names.ts";
import { configSchema, FREE_KEYS } from "./schema.ts";

type Keys = readonly (string | number)[];
type AnySchema = v.GenericSchema & {
  readonly type: string;
  readonly entries?: Readonly<Record<string, AnySchema>>;
  readonly item?: AnySchema;
  readonly wrapped?: AnySchema;
  readonly pipe?: readonly AnySchema[];
};

/** Something about a place in a configuration. */
export interface Remark extends Problem {
  /** As they were written there. */
  readonly keys: Keys;
}

/** A configuration in this project's spelling, and where each part of it was written. */
export interface Normalised {
  readonly value: unknown;
  readonly problems: readonly Remark[];
  readonly warnings: readonly Remark[];
  /** The keys as they were written, for keys of `value`. */
  writtenAs(keys: Keys): Keys;
}

/** Names of objects whose keys Ray Serve calls something else. */
const KINDS: Readonly<Record<string, string>> = {
  applications: "application",
  deployments: "deployment",
};

/** Turns either spelling of a configuration into one, drops what it does not know, and says so. */
export function normalise(given: unknown): Normalised {
  const walk = new Walk();
  const value = walk.visit(given, { schema: configSchema as AnySchema, kind: "", keys: [], written: [] });
  return {
    value,
    problems: walk.problems,
    warnings: walk.warnings,
    writtenAs: (keys) => {
      // The longest part of it that is there: a key that is missing was not written anywhere.
      for (let end = keys.length; end > 0; end--) {
        const found = walk.written.get(pathOf(keys.slice(0, end)));
        if (found !== undefined) return [...found, ...keys.slice(end)];
      }
      return keys;
    },
  };
}

interface Place {
  readonly schema: AnySchema;
  readonly kind: string;
  readonly keys: Keys;
  readonly written: Keys;
}

/** One key of an object, and where it was written: Ray Serve has some of them one level deeper. */
interface Entry {
  readonly key: string;
  readonly raw: unknown;
  readonly path: Keys;
}

class Walk {
  readonly problems: Remark[] = [];
  readonly warnings: Remark[] = [];
  readonly written = new Map<string, Keys>();

  visit(given: unknown, place: Place): unknown {
    const { kind, keys, written } = place;
    this.written.set(pathOf(keys), written);
    const schema = inner(place.schema);
    if (schema.item !== undefined && Array.isArray(given)) {
      const item = schema.item;
      return given.map((entry, i) =>
        this.visit(entry, { schema: item, kind, keys: [...keys, i], written: [...written, i] }),
      );
    }
    const { entries } = schema;
    if (entries === undefined || typeof given !== "object" || given === null) return given;
    if (Array.isArray(given)) {
      this.#problem(written, "must be an object, not an array.");
      return {};
    }
    const result: Record<string, unknown> = {};
    const from = new Map<string, Keys>();
    for (const { key, raw, path } of this.#entriesOf(given as Record<string, unknown>, place)) {
      const renamed =
        Object.hasOwn(entries, key) && kind !== "logging" ? { key, value: raw } : fromRayKey(kind, key, raw);
      if (kind === "application" && (key === "host" || key === "port")) {
        this.#problem(
          path,
          `cannot be set for one application: it is that of all of them. Write http: { ${key}: … } at the top of the file.`,
        );
        continue;
      }
      if (!Object.hasOwn(entries, renamed.key)) {
        // By which editors find the schema of a JSON file.
        if (kind === "" && key === "$schema") continue;
        const nearest = nearestName(key, Object.keys(entries));
        const hint = nearest === undefined ? "" : ` Did you mean "${spelledAs(key, kind, nearest)}"?`;
        this.#warning(path, `is not known and is ignored.${hint}`);
        continue;
      }
      const before = from.get(renamed.key);
      if (before !== undefined) {
        this.#problem(path, `says the same as ${pathOf(before)}. Remove one of the two.`);
        continue;
      }
      from.set(renamed.key, path);
      // What is not set in Ray Serve's file is often written as null.
      if (
        renamed.value === undefined ||
        (renamed.value === null && renamed.key !== "routePrefix" && renamed.key !== "userConfig")
      )
        continue;
      const next = {
        schema: entries[renamed.key]!,
        kind: KINDS[renamed.key] ?? renamed.key,
        keys: [...keys, renamed.key],
        written: path,
      };
      result[renamed.key] = FREE_KEYS.has(renamed.key)
        ? this.#free(renamed.value, next)
        : this.visit(renamed.value, next);
    }
    if (kind === "requestRouter") {
      for (const [name, ours] of Object.entries(ROUTER_STATS))
        if (Object.hasOwn(given, name)) this.written.set(pathOf([...keys, "stats", ours]), [...written, name]);
    }
    return result;
  }

  /** Nothing in it is changed, but it must survive being sent. */
  #free(value: unknown, { keys, written }: Place): unknown {
    this.written.set(pathOf(keys), written);
    const found = notPlain(value);
    if (found === undefined) return value;
    this.#problem([...written, ...found.keys], `must be data that JSON can hold, not ${found.what}.`);
    return undefined;
  }

  #entriesOf(given: Record<string, unknown>, { kind, written }: Place): Entry[] {
    const entries: Entry[] = [];
    const environments: Entry[] = [];
    const runtimeEnv = (raw: object, path: Keys): void => {
      for (const [key, value] of Object.entries(raw)) {
        const at = [...path, key];
        if (key === "env_vars") environments.push({ key: "env", raw: value, path: at });
        else this.#warning(at, `is ignored: ${show(value)} means nothing to Node.`);
      }
    };
    const all = kind === "requestRouter" ? fromRayRouter(given) : given;
    for (const [key, raw] of Object.entries(all)) {
      const path = [...written, key];
      if (kind === "application" && key === "runtime_env" && isObject(raw)) runtimeEnv(raw, path);
      else if (kind === "deployment" && key === "ray_actor_options" && isObject(raw) && isObject(raw["runtime_env"])) {
        // The environment of a deployment stands with its resources there.
        const { runtime_env: runtime, ...resources } = raw;
        runtimeEnv(runtime as object, [...path, "runtime_env"]);
        entries.push({ key, raw: resources, path });
      } else entries.push({ key, raw, path });
    }
    return [...entries, ...environments];
  }

  #problem(keys: Keys, text: string): void {
    const path = pathOf(keys);
    this.problems.push({ keys, path, message: `${path || "The configuration"} ${text}` });
  }

  #warning(keys: Keys, text: string): void {
    const path = pathOf(keys);
    this.warnings.push({ keys, path, message: `${path} ${text}` });
  }
}

/** A key in the spelling that another one is written in. */
function spelledAs(key: string, kind: string, name: string): string {
  return key.includes("_") ? toRayKey(kind, name, 0).key : name;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The schema itself, without what says that it may be missing or what it means. */
function inner(schema: AnySchema): AnySchema {
  if (schema.wrapped !== undefined) return inner(schema.wrapped);
  const first = schema.pipe?.[0];
  return first === undefined || first === schema ? schema : inner(first);
}
