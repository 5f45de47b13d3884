import { ConfigError } from "../errors.ts";

/** Reads one option: the value in its normal form, or a `ConfigError` that names `path`. */
export type Check<T> = (value: unknown, path: string) => T;

/** Joins the path of an options object and one of its keys. */
export function at(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

/** The values of `known` keys in `options`; `undefined` counts as not given, an unknown key as an error. */
export function readKeys(options: unknown, path: string, known: readonly string[]): Map<string, unknown> {
  const subject = path === "" ? "Options" : path;
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new ConfigError(`${subject} must be an object, not ${show(options)}.`, { path });
  }
  const given = new Map<string, unknown>();
  for (const [key, value] of Object.entries(options)) {
    if (!known.includes(key)) throw unknownKey(key, path, known);
    if (value !== undefined) given.set(key, value);
  }
  return given;
}

/** What `check` makes of a key's value, or the default if it was not given. */
export function read<T>(given: Map<string, unknown>, path: string, key: string, check: Check<T>): T | undefined {
  const value = given.get(key);
  return value === undefined ? undefined : check(value, at(path, key));
}

export function numberWhere(holds: (value: number) => boolean, wanted: string): Check<number> {
  return (value, path) => {
    if (typeof value === "number" && Number.isFinite(value) && holds(value)) return value;
    throw new ConfigError(`${path} must be ${wanted}, not ${show(value)}.`, { path });
  };
}

export const above0: Check<number> = numberWhere((value) => value > 0, "a finite number above 0");
export const atLeast0: Check<number> = numberWhere((value) => value >= 0, "a finite number of at least 0");
export const countFrom0: Check<number> = numberWhere(
  (value) => Number.isInteger(value) && value >= 0,
  "an integer of at least 0",
);
export const countFrom1: Check<number> = numberWhere(
  (value) => Number.isInteger(value) && value >= 1,
  "an integer of at least 1",
);

export const text: Check<string> = (value, path) => {
  if (typeof value === "string") return value;
  throw new ConfigError(`${path} must be a string, not ${show(value)}.`, { path });
};

export const flag: Check<boolean> = (value, path) => {
  if (typeof value === "boolean") return value;
  throw new ConfigError(`${path} must be true or false, not ${show(value)}.`, { path });
};

export function oneOf<const T extends string | number>(allowed: readonly T[]): Check<T> {
  return (value, path) => {
    if (allowed.includes(value as T)) return value as T;
    throw new ConfigError(`${path} must be one of ${listOf(allowed)}, not ${show(value)}.`, { path });
  };
}

export function recordOf<T>(check: Check<T>): Check<Record<string, T>> {
  return (value, path) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new ConfigError(`${path} must be an object, not ${show(value)}.`, { path });
    }
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, check(entry, at(path, key))]));
  };
}

export function listWhere<T>(check: Check<T>): Check<T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw new ConfigError(`${path} must be an array, not ${show(value)}.`, { path });
    return value.map((entry, i) => check(entry, `${path}[${i}]`));
  };
}

/** What people call the value, short enough for a message. */
export function show(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
    case "number":
    case "boolean":
    case "undefined":
      return String(value);
    case "bigint":
      return `${value}n`;
    case "symbol":
      return value.toString();
    case "function":
      return isClass(value)
        ? `the class ${value.name || "(anonymous)"}`
        : `the function ${value.name || "(anonymous)"}`;
    case "object":
      if (value === null) return "null";
      return Array.isArray(value) ? "an array" : "an object";
  }
}

/**
 * Whether a function is a class; the language has no other way to tell than its text.
 *
 * One behind a `Proxy` has none, but a `prototype` that cannot be set to another, as only a class has.
 */
export function isClass(value: unknown): value is abstract new (...args: never[]) => object {
  if (typeof value !== "function") return false;
  const source = Function.prototype.toString.call(value);
  if (/^class\b/.test(source)) return true;
  return (
    source.endsWith("{ [native code] }") && Reflect.getOwnPropertyDescriptor(value, "prototype")?.writable === false
  );
}

/** Names in quotes, for messages. */
export function listOf(values: readonly (string | number)[]): string {
  return values.map((value) => (typeof value === "string" ? `"${value}"` : value)).join(", ");
}

function unknownKey(key: string, path: string, known: readonly string[]): ConfigError {
  const nearest = nearestName(key, known);
  const hint = nearest === undefined ? "" : ` Did you mean "${nearest}"?`;
  return new ConfigError(`Unknown option "${at(path, key)}".${hint} Known options: ${known.join(", ")}.`, {
    path: at(path, key),
  });
}

/** The name that a misspelt one most likely stands for; `num_replicas` and `graceful_shutdown_timeout_s` find their forms here. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const plain = plainName(name);
  let nearest: string | undefined;
  let nearestDistance = 1 + Math.max(2, Math.floor(plain.length / 3));
  for (const candidate of known) {
    const distance = editDistance(plain, plainName(candidate));
    if (distance >= nearestDistance) continue;
    nearest = candidate;
    nearestDistance = distance;
  }
  return nearest;
}

function plainName(name: string): string {
  return name
    .replace(/_s$/, "Ms")
    .replaceAll(/[_\-\s]/g, "")
    .toLowerCase();
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
