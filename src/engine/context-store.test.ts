import { AsyncLocalStorage } from "node:async_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { contextStore } from "./context-store.ts";

interface Context {
  readonly name: string;
}

const a: Context = { name: "a" };
const b: Context = { name: "b" };

/** Calls `fn` in a context, as a replica calls a method. */
function within<R>(store: ReturnType<typeof contextStore<Context>>, context: Context, fn: () => R): R {
  return store.call(context, fn, undefined, []) as R;
}

describe("a context store", () => {
  test("calls a method with its this and arguments, in the context, and leaves it", () => {
    const store = contextStore<Context>();
    const target = {
      base: 1,
      add(this: { base: number }, x: number) {
        return [this.base + x, store.get()];
      },
    };
    expect(store.run(b, () => [store.call(a, target.add, target, [2]), store.get()])).toEqual([[3, a], b]);
  });

  test("keeps the context over awaits, timers, microtasks and immediates", async () => {
    const store = contextStore<Context>();
    const seen = async (): Promise<unknown[]> => {
      const found: unknown[] = [store.get()];
      await Promise.resolve();
      found.push(store.get());
      await sleep(1);
      found.push(store.get());
      await new Promise<void>((resolve) =>
        queueMicrotask(() => {
          found.push(store.get());
          setImmediate(() => {
            found.push(store.get());
            resolve();
          });
        }),
      );
      return found;
    };
    const [ofA, ofB] = await Promise.all([within(store, a, seen), within(store, b, seen)]);
    expect(ofA).toEqual([a, a, a, a, a]);
    expect(ofB).toEqual([b, b, b, b, b]);
  });

  test("stands beside storages of the user's, in either order", async () => {
    const store = contextStore<Context>();
    const users = new AsyncLocalStorage<string>();
    const seen = (): unknown[] => [store.get(), users.getStore()];
    await users.run("outer", async () => {
      expect(within(store, a, seen)).toEqual([a, "outer"]);
      const inner = await within(store, a, () =>
        users.run("inner", async () => {
          await Promise.resolve();
          return [seen(), within(store, b, seen)];
        }),
      );
      expect(inner).toEqual([
        [a, "inner"],
        [b, "inner"],
      ]);
      expect(seen()).toEqual([undefined, "outer"]);
    });
  });

  test("what a method enters for itself does not reach the next one", () => {
    const users = new AsyncLocalStorage<string>();
    const store = contextStore<Context>();
    // Before version 24 Node ties what is entered to the whole event.
    if (Number.parseInt(process.versions.node, 10) < 24) return;
    within(store, a, () => users.enterWith("of the first"));
    expect(within(store, b, () => users.getStore())).toBeUndefined();
  });

  test("a storage that is disabled inside is gone, and the others stay", () => {
    const store = contextStore<Context>();
    const users = new AsyncLocalStorage<string>();
    users.run("x", () => {
      within(store, a, () => {
        users.disable();
        expect([store.get(), users.getStore()]).toEqual([a, undefined]);
      });
    });
  });

  test("an error leaves the context too", () => {
    const store = contextStore<Context>();
    expect(() =>
      within(store, a, () => {
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(store.get()).toBeUndefined();
  });
});
