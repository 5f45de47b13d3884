/** What a value is to the codec; "other" can only travel as a handle or not at all. */
export type Kind = "object" | "array" | "date" | "regexp" | "map" | "set" | "buffer" | "view" | "error" | "other";

const { getPrototypeOf } = Object;
const functionText = Function.prototype.toString;

/** By name, because each realm (a vm context, as test runners use them) has classes of its own. */
const kindsByName: Readonly<Record<string, Kind>> = {
  __proto__: null as never,
  Object: "object",
  Array: "array",
  Date: "date",
  RegExp: "regexp",
  Map: "map",
  Set: "set",
  ArrayBuffer: "buffer",
};

const kindsByPrototype = new Map<object, Kind>([
  [Object.prototype, "object"],
  [Array.prototype, "array"],
  [Date.prototype, "date"],
  [RegExp.prototype, "regexp"],
  [Map.prototype, "map"],
  [Set.prototype, "set"],
  [ArrayBuffer.prototype, "buffer"],
]);

/**
 * What an object is, without reading any property of it. A subclass is not what it extends, but for errors and for
 * Node's Buffer.
 */
export function kindOf(value: object): Kind {
  const prototype = getPrototypeOf(value) as object | null;
  if (prototype === null) return "object";
  const kind = kindsByPrototype.get(prototype);
  if (kind !== undefined) return kind === "array" && !Array.isArray(value) ? "other" : kind;
  if (ArrayBuffer.isView(value)) return isBuiltInView(prototype) ? "view" : "other";
  if (isError(value)) return "error";
  return kindsByName[nativeName(prototype)] ?? "other";
}

/** Whether a value is an error of this or another realm; an object that merely has an error's prototype counts. */
export function isError(value: object): value is Error {
  const { isError: native } = Error as { isError?: (value: unknown) => boolean };
  return value instanceof Error || native?.(value) === true;
}

/** The name of a class in a few words for people, "" if it has none; runs no getter of the value's own. */
export function className(value: object): string {
  try {
    const prototype = getPrototypeOf(value) as { constructor?: { name?: unknown } } | null;
    const name = prototype?.constructor?.name;
    return typeof name === "string" ? name : "";
  } catch {
    return "";
  }
}

function isBuiltInView(prototype: object): boolean {
  return (
    nativeName(prototype) !== "" || prototype === (globalThis as { Buffer?: { prototype: object } }).Buffer?.prototype
  );
}

/** The name of the built-in class, of whatever realm, that a prototype belongs to. */
function nativeName(prototype: object): string {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, "constructor");
  const constructor: unknown = descriptor?.value;
  if (typeof constructor !== "function" || constructor.prototype !== prototype) return "";
  return functionText.call(constructor) === `function ${constructor.name}() { [native code] }` ? constructor.name : "";
}
