import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { ContextStore } from "../core/contracts/context-store.ts";
import { contextStore, outside, withStorage } from "./context-store.ts";

interface Context {
  readonly name: string;
}

const a: Context = { name: "a" };
const b: Context = { name: "b" };

function overStorage<T>(): ContextStore<T> {
  const storage = new AsyncLocalStorage<T | undefined>();
  return { get: () => storage.getStore(), ...withStorage(storage) };
}

/** Calls `fn` in a context, as a replica calls a method. */
function within<R>(store: ContextStore<Context>, context: Context, fn: () => R): R {
  return store.call(context, fn, undefined, []) as R;
}

describe.each([
  ["a context store", contextStore<Context>],
  ["a context store by what Node documents", overStorage<Context>],
])("%s", (_, makeStore) => {
  test("calls a method with its this and arguments, in the context, and leaves it", () => {
    const store = makeStore();
    const target = {
      base: 1,
      add(this: { base: number }, x: number) {
        return [this.base + x, store.get()];
      },
    };
    expect(store.run(b, () => [store.call(a, target.add, target, [2]), store.get()])).toEqual([[3, a], b]);
  });

  test("keeps the context over awaits, timers, microtasks and immediates", async () => {
    const store = makeStore();
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
    const store = makeStore();
    const users = new AsyncLocalStorage<string>();
    const seen = (): unknown[] => [store.get(), users.getStore()];
    await users.run("outer", async () => {
      expect(store.run(a, seen)).toEqual([a, "outer"]);
      const inner = await within(store, a, () =>
        users.run("inner", async () => {
          await Promise.resolve();
          return [seen(), store.run(b, seen)];
        }),
      );
      expect(inner).toEqual([
        [a, "inner"],
        [b, "inner"],
      ]);
      expect(seen()).toEqual([undefined, "outer"]);
    });
  });

  test("a method sees no store of whoever's event it is part of, nor does what it goes on with", async () => {
    const store = makeStore();
    const users = new AsyncLocalStorage<string>();
    const others = makeStore();
    const seen = async (): Promise<unknown[]> => {
      const found: unknown[] = [users.getStore(), others.get()];
      await sleep(1);
      return [...found, users.getStore(), others.get(), store.get()];
    };
    const found = users.run("the caller's", () => others.run(b, () => within(store, a, seen)));
    expect(await found).toEqual([undefined, undefined, undefined, undefined, a]);
  });

  test("what a method enters for itself lasts as long as it does, and does not reach the next one", async () => {
    const users = new AsyncLocalStorage<string>();
    const store = makeStore();
    // All that arrives on a connection is part of events of the same resource.
    const socket = new AsyncResource("socket");
    const event = <R>(fn: () => R): R => socket.runInAsyncScope(fn);
    const first = event(() =>
      within(store, a, async () => {
        users.enterWith("of the first");
        await sleep(1);
        return users.getStore();
      }),
    );
    const second = event(() => within(store, b, () => users.getStore()));
    expect(second).toBeUndefined();
    expect(event(() => users.getStore())).toBeUndefined();
    expect(await first).toBe("of the first");
  });

  test("what life-cycle code enters for itself ends with it", async () => {
    const users = new AsyncLocalStorage<string>();
    const store = makeStore();
    store.run(a, () => users.enterWith("of the constructor"));
    expect(users.getStore()).toBeUndefined();
    await Promise.resolve();
    expect(users.getStore()).toBeUndefined();
  });

  test("a storage that is disabled inside is gone, and the others stay", () => {
    const store = makeStore();
    const users = new AsyncLocalStorage<string>();
    users.run("x", () => {
      store.run(a, () => {
        users.disable();
        expect([store.get(), users.getStore()]).toEqual([a, undefined]);
      });
    });
  });

  test("an error leaves the context too", () => {
    const store = makeStore();
    const fails = (): never => {
      throw new Error("no");
    };
    expect(() => within(store, a, fails)).toThrow("no");
    expect(() => store.run(a, fails)).toThrow("no");
    expect(store.get()).toBeUndefined();
  });
});

test("what is set off outside of all contexts stays there, and the context is back afterwards", async () => {
  const store = contextStore<Context>();
  const users = new AsyncLocalStorage<string>();
  await users.run("x", async () => {
    const found = Promise.withResolvers<unknown[]>();
    const seen = (): unknown[] => [store.get(), users.getStore()];
    store.run(a, () => {
      outside(() => setTimeout(() => found.resolve(seen()), 1));
      expect(seen()).toEqual([a, "x"]);
    });
    expect(await found.promise).toEqual([undefined, undefined]);
  });
});
