/**
 * Whether a value is so large that it is better encoded on the bulk lane to begin with. It looks at the value alone, not
 * into it: looking costs every call, and a frame that turns out to be large is moved, which costs a copy.
 */
export function looksLarge(value: unknown, bytes: number): boolean {
  if (typeof value === "string") return value.length > bytes;
  if (typeof value !== "object" || value === null) return false;
  if (ArrayBuffer.isView(value)) return value.byteLength > bytes;
  if (Array.isArray(value)) return value.length > bytes;
  return value instanceof ArrayBuffer && value.byteLength > bytes;
}

export function anyLooksLarge(values: readonly unknown[], bytes: number): boolean {
  for (let i = 0; i < values.length; i++) if (looksLarge(values[i], bytes)) return true;
  return false;
}
