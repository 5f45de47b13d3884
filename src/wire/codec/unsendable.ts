import { SerializationError } from "../../core/errors.ts";
import { pathOf, type Segment } from "./path.ts";

/** Where a value stands: the first part of an error's path. */
export type Root = "args" | "result" | "item";

/**
 * A value that cannot travel, on its way out of the encoder: each container that it leaves adds where it stood, so
 * that encoding itself keeps no path.
 *
 * The message goes on from the path, such as "is a function…".
 */
export class Unsendable extends Error {
  readonly segments: Segment[] = [];

  constructor(message: string, options?: { cause: unknown }) {
    super(message, options);
    this.name = "Unsendable";
  }

  /** What was thrown inside a container, with the place in it added. */
  static at(thrown: unknown, segment: Segment): Unsendable {
    const failure = Unsendable.from(thrown);
    failure.segments.push(segment);
    return failure;
  }

  /** User code runs while a value is read: getters and proxies. What it throws is no fault of the encoder. */
  static from(thrown: unknown): Unsendable {
    if (thrown instanceof Unsendable) return thrown;
    if (thrown instanceof RangeError && /call stack/.test(thrown.message)) return tooDeep();
    return new Unsendable(`cannot be read: ${messageOf(thrown)}; see the cause`, { cause: thrown });
  }

  toError(root: Root): SerializationError {
    const path = pathOf(root, this.segments.reverse());
    const shown = path.length > 200 ? `${path.slice(0, 160)}…${path.slice(-30)}` : path;
    return new SerializationError(
      `${shown} ${this.message}.`,
      "cause" in this ? { path, cause: this.cause } : { path },
    );
  }
}

export function tooDeep(maxDepth?: number): Unsendable {
  const limit = maxDepth === undefined ? "the stack has room for" : `${maxDepth} levels, the limit`;
  return new Unsendable(
    `is nested deeper than ${limit}; send it flat, as a list whose entries name each other by index`,
  );
}

function messageOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown);
  } catch {
    return "something was thrown that has no text";
  }
}
