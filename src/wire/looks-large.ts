import { BULK_BYTES } from "./frames.ts";

/** What stands around a large value in its frame, at least: with it, 64 KB are more than a small lane is for. */
const AROUND_BYTES = 24;

/**
 * About how many bytes a value takes, if it is so large that it is better encoded in memory of its own, on the bulk lane:
 * what is said here is there before it is written. It looks at the value alone, not into it: looking costs every call,
 * and a frame that turns out to be large is moved.
 */
export function roughBytes(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 0;
  if (ArrayBuffer.isView(value)) return value.byteLength + AROUND_BYTES;
  // How long its items are is not known; an array may also be long and hold nothing.
  if (Array.isArray(value)) return value.length > BULK_BYTES ? BULK_BYTES + 1 : 0;
  return value instanceof ArrayBuffer ? value.byteLength + AROUND_BYTES : 0;
}

export function roughBytesOfAll(values: readonly unknown[]): number {
  let bytes = 0;
  for (let i = 0; i < values.length; i++) bytes += roughBytes(values[i]);
  return bytes;
}
