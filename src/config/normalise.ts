import type * as v from "valibot";
import { nearestName, show } from "../core/deployment/option-checks.ts";
import { pathOf, type Problem } from "./problem.ts";
import { fromRayKey, fromRayRouter } from "./ray-names.ts";
import { configSchema, FREE_KEYS } from "./schema.ts";

type Keys = readonly (string | number)[];
type AnySchema = v.GenericSchema & {
  readonly type: string;
  readonly entries?: Readonly<Record<string, AnySchema>>;
  readonly item?: AnySchema;
  readonly wrapped?: AnySchema;
  readonly pipe?: readonly AnySchema[];
};

/** A configuration in this project's spelling, and where each part of it was written. */
export interface Normalised {
  readonly value: unknown;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
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

class Walk {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
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
      this.problems.push({
        path: pathOf(written),
        message: `${pathOf(written) || "The configuration"} must be an object, not an array.`,
      });
      return {};
    }
    const result: Record<string, unknown> = {};
    const from = new Map<string, string>();
    for (const [key, raw] of Object.entries(this.#unpacked(given as Record<string, unknown>, kind))) {
      const renamed =
        Object.hasOwn(entries, key) && kind !== "logging" ? { key, value: raw } : fromRayKey(kind, key, raw);
      const path = [...written, key];
      if (kind === "application" && (key === "host" || key === "port")) {
        this.problems.push({
          path: pathOf(path),
          message: `${pathOf(path)} cannot be set for one application: it is that of all of them. Write http: { ${key}: … } at the top of the file.`,
        });
        continue;
      }
      if (!Object.hasOwn(entries, renamed.key)) {
        const nearest = nearestName(key, Object.keys(entries));
        const hint = nearest === undefined ? "" : ` Did you mean "${nearest}"?`;
        this.warnings.push({ path: pathOf(path), message: `${pathOf(path)} is not known and is ignored.${hint}` });
        continue;
      }
      const before = from.get(renamed.key);
      if (before !== undefined) {
        this.problems.push({
          path: pathOf(path),
          message: `${pathOf(path)} says the same as ${before} beside it. Remove one of the two.`,
        });
        continue;
      }
      from.set(renamed.key, key);
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
    return result;
  }

  #free(value: unknown, { keys, written }: Place): unknown {
    this.written.set(pathOf(keys), written);
    return value;
  }

  /** Ray Serve puts some of it one level deeper. */
  #unpacked(given: Record<string, unknown>, kind: string): Record<string, unknown> {
    if (kind === "requestRouter") return fromRayRouter(given);
    if (kind === "deployment") return unpackedActorOptions(given);
    const { runtime_env: runtime, ...rest } = given;
    if (kind !== "application" || typeof runtime !== "object" || runtime === null) return given;
    const { env_vars: env, ...others } = runtime as Record<string, unknown>;
    for (const [key, value] of Object.entries(others))
      this.warnings.push({
        path: `runtime_env.${key}`,
        message: `runtime_env.${key} is ignored: ${show(value)} means nothing to Node.`,
      });
    return env === undefined ? rest : { ...rest, env };
  }
}

/** The environment of a deployment stands with its resources there; what else is in its `runtime_env` stays, to be warned of. */
function unpackedActorOptions(given: Record<string, unknown>): Record<string, unknown> {
  const { ray_actor_options: options, ...rest } = given;
  if (!isObject(options) || !isObject(options["runtime_env"])) return given;
  const { runtime_env: runtime, ...resources } = options;
  const { env_vars: env, ...others } = runtime as Record<string, unknown>;
  if (env === undefined) return given;
  return {
    ...rest,
    env,
    ray_actor_options: Object.keys(others).length === 0 ? resources : { ...resources, runtime_env: others },
  };
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
