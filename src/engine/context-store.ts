import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import type { ContextStore } from "../core/contracts/context-store.ts";
import { findFrames, withFrames } from "./context-frames.ts";

const frames = findFrames();

/** As it was when this was loaded: for what belongs to nobody's context. */
const outermost = new AsyncResource("heliostat", { requireManualDestroy: true });

/** A context over `AsyncLocalStorage`, by the fastest way that this version of Node lets us go. */
export function contextStore<T>(): ContextStore<T> {
  const storage = new AsyncLocalStorage<T | undefined>();
  const { run, call } = frames === undefined ? withStorage(storage) : withFrames(storage, frames);
  return { get: () => storage.getStore(), run, call };
}

/** Runs `fn` in no context at all: what it sets off, such as a timer, is in none either. */
export function outside<R>(fn: () => R): R {
  if (frames === undefined) return outermost.runInAsyncScope(fn);
  const before = frames.current();
  frames.set(undefined);
  try {
    return fn();
  } finally {
    frames.set(before);
  }
}

/**
 * Contexts by what Node documents.
 *
 * Each is a resource of its own: before version 24 a store that user code enters is kept by the resource whose event it
 * is, which may be the socket that brings the next request too.
 */
export function withStorage<T>(storage: AsyncLocalStorage<T | undefined>): Pick<ContextStore<T>, "run" | "call"> {
  const inContext = (context: T | undefined, method: Function, self: unknown, args: readonly unknown[]): unknown => {
    storage.enterWith(context);
    return Reflect.apply(method, self, args);
  };
  const apart = (context: T | undefined, method: Function, self: unknown, args: readonly unknown[]): unknown =>
    new AsyncResource("heliostat", { requireManualDestroy: true }).runInAsyncScope(
      inContext,
      undefined,
      context,
      method,
      self,
      args,
    );
  return {
    run: <R>(context: T | undefined, fn: () => R) => apart(context, fn, undefined, NO_ARGS) as R,
    call: (context, method, self, args) =>
      outermost.runInAsyncScope(apart, undefined, context, method, self, args) as unknown,
  };
}

const NO_ARGS: readonly unknown[] = [];
