/**
 * Values in the notation of the golden vectors, which any language can read: JSON, where an object is never itself but
 * has one key that says what it is. `vectors/structured.json` explains the notation at its head.
 */
import { expect } from "vitest";

/** Stands for a handle: travels by its description. */
export class Reference {
  readonly description: unknown;

  constructor(description: unknown) {
    this.description = description;
  }
}

type Pair = readonly [unknown, unknown];

/** Makes the value that `described` tells of. */
export function build(described: unknown, known: Map<number, unknown> = new Map()): unknown {
  if (Array.isArray(described)) return fillArray([], described, known);
  if (typeof described !== "object" || described === null) return described;
  const [[key, content]] = Object.entries(described) as [[string, never]];
  switch (key) {
    case "$undefined":
      return undefined;
    case "$number":
      return Number(content);
    case "$bigint":
      return BigInt(content);
    case "$repeat":
      return (content[0] as string).repeat(content[1]);
    case "$utf16":
      return String.fromCharCode(...(content as number[]));
    case "$object":
      return fillObject({}, content, known);
    case "$nullObject":
      return fillObject(Object.create(null) as object, content, known);
    case "$date":
      return new Date(content === null ? Number.NaN : content);
    case "$regexp": {
      const [source, flags, lastIndex] = content as [string, string, number];
      return Object.assign(new RegExp(source, flags), { lastIndex });
    }
    case "$map":
      return fillMap(new Map(), content, known);
    case "$set":
      return new Set((content as unknown[]).map((member) => build(member, known)));
    case "$binary":
      return binary(content);
    case "$error":
      return error(content, known);
    case "$extension":
      return new Reference(build(content, known));
    case "$define":
      return define(content, known);
    case "$same":
      return known.get(content);
    default:
      return expect.unreachable(`unknown notation ${key}`);
  }
}

/** A container must be known before what is in it is made: that may lead back to it. */
function define([id, described]: [number, unknown], known: Map<number, unknown>): unknown {
  const content = Array.isArray(described) ? described : Object.values(described as object)[0];
  const key = Array.isArray(described) ? "$array" : Object.keys(described as object)[0];
  const fill = { $array: fillArray, $object: fillObject, $map: fillMap }[key as "$object"] as
    | ((target: object, content: never, known: Map<number, unknown>) => object)
    | undefined;
  const target =
    fill === undefined ? build(described, known) : { $array: [], $object: {}, $map: new Map() }[key as "$object"];
  known.set(id, target);
  return fill === undefined ? target : fill(target as object, content as never, known);
}

function fillArray(target: unknown[], described: readonly unknown[], known: Map<number, unknown>): unknown[] {
  for (const element of described) {
    const holes = (element as { $holes?: number } | null)?.$holes;
    if (holes === undefined) target.push(build(element, known));
    else target.length += holes;
  }
  return target;
}

function fillObject(target: object, pairs: readonly Pair[], known: Map<number, unknown>): object {
  for (const [key, value] of pairs)
    Object.defineProperty(target, key as string, {
      value: build(value, known),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  return target;
}

function fillMap(
  target: Map<unknown, unknown>,
  pairs: readonly Pair[],
  known: Map<number, unknown>,
): Map<unknown, unknown> {
  for (const [key, value] of pairs) target.set(build(key, known), build(value, known));
  return target;
}

function binary([name, hex]: [string, string | { $repeat: [string, number] }]): unknown {
  const bytes = Buffer.from(typeof hex === "string" ? hex : (build(hex) as string), "hex");
  const buffer = new Uint8Array(bytes).buffer;
  if (name === "ArrayBuffer") return buffer;
  return new (globalThis as unknown as Record<string, new (buffer: ArrayBuffer) => unknown>)[name]!(buffer);
}

interface DescribedError {
  readonly base: string;
  readonly class: string;
  readonly message: string;
  readonly name?: string;
  readonly stack: string;
  readonly cause?: unknown;
  readonly errors?: unknown;
  readonly fields: readonly Pair[];
}

function error(described: DescribedError, known: Map<number, unknown>): Error {
  const Base = (globalThis as unknown as Record<string, new (...args: unknown[]) => Error>)[described.base]!;
  const Class =
    described.class === described.base ? Base : { [described.class]: class extends Base {} }[described.class]!;
  const made =
    described.base === "AggregateError"
      ? new Class(build(described.errors, known), described.message)
      : new Class(described.message);
  Object.defineProperty(made, "stack", { value: described.stack });
  if (described.name !== undefined) Object.defineProperty(made, "name", { value: described.name });
  if ("cause" in described) Object.defineProperty(made, "cause", { value: build(described.cause, known) });
  return fillObject(made, described.fields, known) as Error;
}
