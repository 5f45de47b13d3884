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
interface FrameClass {
  current(): Frame | undefined;
  set(frame: Frame | undefined): void;
}

/** Before version 24 a context that is entered would stay with the socket whose event it was, not only with the turn. */
const staysInTurn = Number.parseInt(process.versions.node, 10) >= 24;

/**
 * A context over `AsyncLocalStorage`.
 *
 * `AsyncLocalStorage.run` makes a map for the context, and another one to go back, which costs more than all else that a
 * replica does for a small call. Where this version of Node lets it, `call` puts a frame of ours in force instead: one
 * small object, and the frame before it afterwards. The class of frames is not documented, so what does not behave is
 * not used.
 */
export function contextStore<T>(): ContextStore<T> {
  const storage = new AsyncLocalStorage<T | undefined>();
  const frames = frameClass();
  if (frames === undefined || !behaves(frames)) {
    return {
      get: () => storage.getStore(),
      run: (context, fn) => storage.run(context, fn),
      call: withStorage(storage),
    };
  }
  const call = withFrames(storage, frames);
  return {
    get: () => storage.getStore(),
    run: <R>(context: T | undefined, fn: () => R) => call(context as T, fn, undefined, NO_ARGS) as R,
    call,
  };
}

const NO_ARGS: readonly unknown[] = [];

type CallIn<T> = ContextStore<T>["call"];

export function withFrames<T>(storage: AsyncLocalStorage<T | undefined>, frames: FrameClass): CallIn<T> {
  return (context, method, self, args) => {
    const before = frames.current();
    frames.set(new ContextFrame(storage, context, before));
    try {
      return Reflect.apply(method, self, args);
    } finally {
      frames.set(before);
    }
  };
}

export function withStorage<T>(storage: AsyncLocalStorage<T | undefined>): CallIn<T> {
  if (!staysInTurn)
    return (context, method, self, args) => storage.run(context, Reflect.apply as never, method, self, args);
  return (context, method, self, args) => {
    if (storage.getStore() !== context) storage.enterWith(context);
    return Reflect.apply(method, self, args);
  };
}

/** One more store on top of a frame. Nobody changes it but to take a storage out, as `AsyncLocalStorage.disable` does. */
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

/** The class of Node's frames, by way of a resource that keeps the frame in which it was made. */
function frameClass(): FrameClass | undefined {
  const resource = new AsyncLocalStorage<boolean>().run(
    true,
    () => new AsyncResource("heliostat"),
  ) as unknown as Record<symbol, { constructor?: unknown } | undefined>;
  for (const symbol of Object.getOwnPropertySymbols(resource)) {
    if (symbol.description !== "context_frame") continue;
    const found = resource[symbol]?.constructor as FrameClass | undefined;
    if (typeof found?.current === "function" && typeof found.set === "function") return found;
  }
  return undefined;
}

/** Whether frames of ours work as Node's do, beside other storages too. Leaves everything as it was. */
function behaves(frames: FrameClass): boolean {
  const ours = new AsyncLocalStorage<object | undefined>();
  const other = new AsyncLocalStorage<object | undefined>();
  const call = withFrames(ours, frames);
  const context = {};
  const mark = {};
  const seen = (): unknown[] => [ours.getStore(), other.getStore()];
  const before = frames.current();
  try {
    return other.run(mark, () => {
      const outside = frames.current();
      const [inside, nested] = call(context, () => [seen(), other.run(context, seen)], undefined, []) as unknown[][];
      const isBack = frames.current() === outside && ours.getStore() === undefined;
      return isBack && inside![0] === context && inside![1] === mark && nested!.every((store) => store === context);
    });
  } catch {
    return false;
  } finally {
    frames.set(before);
  }
}
