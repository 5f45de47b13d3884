/** One step into a value: a property's name, an index, or a place in a Map or Set. */
export type Segment = string | number | MapSegment;

/** A value of a Map (`of: "value"`), one of its keys, or a member of a Set. */
export interface MapSegment {
  readonly of: "value" | "key" | "member";
  readonly key: unknown;
}

const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/** The way to a place in a value as one would write it in code: `args[0].user["a b"].get("k")`. */
export function pathOf(root: string, segments: readonly Segment[]): string {
  let path = root;
  for (const segment of segments) {
    if (typeof segment === "number") path += `[${segment}]`;
    else if (typeof segment === "string")
      path += identifier.test(segment) ? `.${segment}` : `[${JSON.stringify(segment)}]`;
    else if (segment.of === "value") path += `.get(${brief(segment.key)})`;
    else path += `.${segment.of === "key" ? "key" : "member"}(${brief(segment.key)})`;
  }
  return path;
}

/** A key in a few characters. Nothing of the user's runs: it may be the very value that fails. */
function brief(key: unknown): string {
  switch (typeof key) {
    case "string":
      return JSON.stringify(key.length > 40 ? `${key.slice(0, 40)}…` : key);
    case "bigint":
      return `${key}n`;
    case "object":
      return key === null ? "null" : "{…}";
    case "function":
      return "function";
    default:
      return String(key);
  }
}
