/**
 * Whether two values would travel to a replica as the same value.
 *
 * Functions and objects of other realms are the same only if they are one object. Cycles are followed once.
 */
export function structurallyEqual(left: unknown, right: unknown): boolean {
  return equal(left, right, new Map());
}

type Seen = Map<object, object>;

function equal(left: unknown, right: unknown, seen: Seen): boolean {
  if (Object.is(left, right)) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false;
  if (Object.getPrototypeOf(left) !== Object.getPrototypeOf(right)) return false;
  // A pair that is being compared further up is equal unless a difference shows elsewhere.
  if (seen.get(left) === right) return true;
  seen.set(left, right);
  return equalContents(left, right, seen) && equalFields(left, right, seen);
}

/** Compares what is not in an object's own fields. */
function equalContents(left: object, right: object, seen: Seen): boolean {
  if (left instanceof Date) return Object.is(left.getTime(), (right as Date).getTime());
  if (left instanceof RegExp) return String(left) === String(right);
  if (left instanceof ArrayBuffer) return equalBytes(new Uint8Array(left), new Uint8Array(right as ArrayBuffer));
  if (ArrayBuffer.isView(left)) return equalBytes(bytesOf(left), bytesOf(right as ArrayBufferView));
  if (left instanceof Error) return equalErrors(left, right as Error, seen);
  if (left instanceof Map) return equal([...left], [...(right as Map<unknown, unknown>)], seen);
  if (left instanceof Set) return equal([...left], [...(right as Set<unknown>)], seen);
  return true;
}

function equalFields(left: object, right: object, seen: Seen): boolean {
  if (ArrayBuffer.isView(left)) return true;
  if (Array.isArray(left) && left.length !== (right as unknown[]).length) return false;
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  return keys.every((key) => Object.hasOwn(right, key) && equal(field(left, key), field(right, key), seen));
}

function equalErrors(left: Error, right: Error, seen: Seen): boolean {
  return left.name === right.name && left.message === right.message && equal(left.cause, right.cause, seen);
}

function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.byteLength === right.byteLength && left.every((byte, index) => byte === right[index]);
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function field(object: object, key: string): unknown {
  return (object as Record<string, unknown>)[key];
}
