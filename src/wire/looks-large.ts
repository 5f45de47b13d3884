/** Whether arguments hold a large string or binary near the top: then they are encoded on the bulk lane to begin with. A wrong guess costs a copy or some latency, nothing else. */
export function looksLarge(args: readonly unknown[], bytes: number): boolean {
  for (let i = 0; i < args.length; i++) {
    if (isLarge(args[i], bytes, 2)) return true;
  }
  return false;
}

function isLarge(value: unknown, bytes: number, depth: number): boolean {
  if (typeof value === "string") return value.length > bytes;
  if (typeof value !== "object" || value === null) return false;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength > bytes;
  if (depth === 0) return false;
  if (Array.isArray(value)) {
    // Numbers and short strings take a few bytes each: a long array of anything is large.
    if (value.length > bytes / 2) return true;
    for (let i = 0; i < value.length && i < 16; i++) if (isLarge(value[i], bytes, depth - 1)) return true;
    return false;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  for (const key in value) {
    const property = Object.getOwnPropertyDescriptor(value, key);
    // A getter is read once, by the codec.
    if (property !== undefined && isLarge(property.value, bytes, depth - 1)) return true;
  }
  return false;
}
