import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import type { ContextStore } from "../core/contracts/context-store.ts";

/** What Node keeps the stores of the current asynchronous context in, by storage. */
interface Frame {
  has(storage: unknown): boolean;
  get(storage: unknown): unknown;
  disable(storage: unknown): void;
  [Symbol.iterator](): Iterator<readonly [unknown, unknown]>;
}

/** The class of Node's own frames: it also says which frame is in force. */
export interface FrameClass {
  current(): Frame | undefined;
  set(frame: Frame | undefined): void;
}

const NO_ARGS: readonly unknown[] = [];

/**
 * Contexts by frames of ours.
 *
 * `AsyncLocalStorage.run` makes a map for the context, and another one to go back, which costs more than all else that a
 * replica does for a small call. A frame of ours is one small object, and the frame before it is put back afterwards.
 */
export function withFrames<T>(
  storage: AsyncLocalStorage<T | undefined>,
  frames: FrameClass,
): Pick<ContextStore<T>, "run" | "call"> {
  return {
    run(context, fn) {
      const before = frames.current();
      frames.set(new ContextFrame(storage, context, before));
      try {
        return fn();
      } finally {
        frames.set(before);
      }
    },
    call(context, method, self, args) {
      const before = frames.current();
      frames.set(new ContextFrame(storage, context, undefined));
      try {
        return Reflect.apply(method, self, args);
      } finally {
        frames.set(before);
      }
    },
  };
}

/** One more store on top of a frame, if there is one. Nobody changes it but to take a storage out, as `AsyncLocalStorage.disable` does. */
class ContextFrame implements Frame {
  #storage: unknown;
  readonly #context: unknown;
  readonly #below: Frame | undefined;

  constructor(storage: unknown, context: unknown, below: Frame | undefined) {
    this.#storage = storage;
    this.#context = context;
    this.#below = below;
  }

  has(storage: unknown): boolean {
    return storage === this.#storage || (this.#below?.has(storage) ?? false);
  }

  get(storage: unknown): unknown {
    return storage === this.#storage ? this.#context : this.#below?.get(storage);
  }

  disable(storage: unknown): void {
    if (storage === this.#storage) this.#storage = undefined;
    this.#below?.disable(storage);
  }

  /** Node copies the entries when a storage of the user's is entered. */
  *[Symbol.iterator](): Generator<readonly [unknown, unknown], void, undefined> {
    if (this.#below !== undefined) {
      for (const entry of this.#below) if (entry[0] !== this.#storage) yield entry;
    }
    if (this.#storage !== undefined) yield [this.#storage, this.#context];
  }
}

/** The class of Node's frames, where this version has one on which frames of ours work. It is not documented, so what does not behave is not used. */
export function findFrames(): FrameClass | undefined {
  const resource = new AsyncLocalStorage<boolean>().run(
    true,
    () => new AsyncResource("heliostat"),
  ) as unknown as Record<symbol, { constructor?: unknown } | undefined>;
  for (const symbol of Object.getOwnPropertySymbols(resource)) {
    if (symbol.description !== "context_frame") continue;
    const found = resource[symbol]?.constructor as FrameClass | undefined;
    if (typeof found?.current === "function" && typeof found.set === "function")
      return behaves(found) ? found : undefined;
  }
  return undefined;
}

/** Whether frames of ours work as Node's do, beside other storages too. Leaves everything as it was. */
function behaves(frames: FrameClass): boolean {
  const ours = new AsyncLocalStorage<object | undefined>();
  const other = new AsyncLocalStorage<object | undefined>();
  const { run, call } = withFrames(ours, frames);
  const context = {};
  const mark = {};
  const seen = (): unknown[] => [ours.getStore(), other.getStore()];
  const before = frames.current();
  try {
    return other.run(mark, () => {
      const outside = frames.current();
      const [over, nested] = run(context, () => [seen(), other.run(context, seen)]);
      const alone = call(context, seen, undefined, NO_ARGS) as unknown[];
      const isBack = frames.current() === outside && ours.getStore() === undefined && other.getStore() === mark;
      return (
        isBack &&
        over![0] === context &&
        over![1] === mark &&
        nested!.every((store) => store === context) &&
        alone[0] === context &&
        alone[1] === undefined
      );
    });
  } catch {
    return false;
  } finally {
    frames.set(before);
  }
}
