type Keys = readonly (string | number)[];

/** What JSON would leave out or change without a word, and where in a value it is. */
export interface NotPlain {
  readonly keys: Keys;
  /** For messages: `a Date`. */
  readonly what: string;
}

/**
 * The first part of a value that would not be the same after it was sent as JSON.
 *
 * A configuration goes to other processes; what is lost on the way would be missed only there. `undefined` in an object
 * is taken for a key that is not set.
 */
export function notPlain(value: unknown, keys: Keys = [], open: readonly object[] = []): NotPlain | undefined {
  switch (typeof value) {
    case "string":
    case "boolean":
      return undefined;
    case "undefined":
      return typeof keys.at(-1) === "number" ? { keys, what: "undefined" } : undefined;
    case "number":
      return Number.isFinite(value) ? undefined : { keys, what: String(value) };
    case "bigint":
    case "symbol":
    case "function":
      return { keys, what: `a ${typeof value}` };
    case "object":
      break;
  }
  if (value === null) return undefined;
  if (open.includes(value)) return { keys, what: "a value that contains itself" };
  const inside = [...open, value];
  if (Array.isArray(value)) return first(value.map((each, i) => () => notPlain(each, [...keys, i], inside)));
  const prototype: unknown = Object.getPrototypeOf(value);
  // Of another realm's objects the prototype is another one.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
    return { keys, what: `a ${(value.constructor as { name?: string } | undefined)?.name ?? "class instance"}` };
  return first(
    Object.entries(value).map(
      ([key, each]) =>
        () =>
          notPlain(each, [...keys, key], inside),
    ),
  );
}

function first(checks: readonly (() => NotPlain | undefined)[]): NotPlain | undefined {
  for (const check of checks) {
    const found = check();
    if (found !== undefined) return found;
  }
  return undefined;
}
