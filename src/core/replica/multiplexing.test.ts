import { AsyncLocalStorage } from "node:async_hooks";
import { beforeEach, describe, expect, test } from "vitest";
import { TestWorkplace, type TestReplica } from "../../../test/support/workplace.ts";
import { ConfigError, HeliostatError, ReplicaUnavailableError, RequestCancelledError } from "../errors.ts";
import { makeBatch } from "./batching.ts";
import { makeMultiplexed, type MultiplexedOptions } from "./multiplexing.ts";

let place: TestWorkplace;
let replica: TestReplica;
beforeEach(() => {
  place = new TestWorkplace();
  replica = place.replica();
});

interface Model {
  readonly id: string;
  readonly bytes: number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A loader whose loads and disposals end when a test says so, and a record of what happened. */
function manual(options: MultiplexedOptions<Model> = {}) {
  const events: string[] = [];
  const loads = new Map<string, PromiseWithResolvers<void> & { signal: AbortSignal }>();
  const disposals = new Map<string, PromiseWithResolvers<void>>();
  let most = 0;
  let now = 0;
  const models = makeMultiplexed(place)(async (id: string, signal: AbortSignal): Promise<Model> => {
    events.push(`load ${id}`);
    most = Math.max(most, ++now);
    const gate = Promise.withResolvers<void>();
    loads.set(id, { ...gate, signal });
    try {
      await gate.promise;
    } catch (error) {
      now--;
      throw error;
    }
    return {
      id,
      bytes: Number(id.split(":")[1] ?? 1),
      async [Symbol.asyncDispose]() {
        events.push(`dispose ${id}`);
        const disposal = Promise.withResolvers<void>();
        disposals.set(id, disposal);
        await disposal.promise;
        now--;
        events.push(`gone ${id}`);
      },
    };
  }, options);
  return { models, events, loads, disposals, most: () => most };
}

/** A loader that is ready at once. */
function quick(options: MultiplexedOptions<Model> = {}) {
  const events: string[] = [];
  const models = makeMultiplexed(place)(async (id: string): Promise<Model> => {
    events.push(`load ${id}`);
    return {
      id,
      bytes: Number(id.split(":")[1] ?? 1),
      [Symbol.asyncDispose]: async () => void events.push(`dispose ${id}`),
    };
  }, options);
  return { models, events };
}

describe("options", () => {
  test.each([
    [{ maxModelsPerReplica: 0 }, "maxModelsPerReplica"],
    [{ maxModelsPerReplica: 1.5 }, "maxModelsPerReplica"],
    [{ maxModelsPerReplica: -2 }, "maxModelsPerReplica"],
    [{ maxModelsPerReplica: "3" }, "maxModelsPerReplica"],
    [{ maxBytes: 0, sizeOf: (): number => 1 }, "maxBytes"],
    [{ maxBytes: 10, sizeOf: 3 }, "sizeOf"],
    [{ maxBytes: 10 }, "sizeOf"],
    [{ sizeOf: (): number => 1 }, "maxBytes"],
    [{ maxModels: 3 }, "maxModels"],
  ])("refuses %j where it is written", (options, path) => {
    expect.assertions(2);
    try {
      quick(options as MultiplexedOptions<Model>);
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      expect(error).toMatchObject({ path });
    }
  });

  test("refuses a loader that is no function", () => {
    expect(() => makeMultiplexed(place)("model" as never)).toThrow(ConfigError);
  });
});

describe("which model", () => {
  test("the one that is named, else the request's", async () => {
    const { models } = quick();
    const request = replica.request("a");
    expect((await request.run(() => models())).id).toBe("a");
    expect((await request.run(() => models("b"))).id).toBe("b");
  });

  test("without any the error says how to send one", async () => {
    const { models, events } = quick();
    for (const ask of [() => models(), () => models(""), () => replica.request().run(() => models())]) {
      await expect(ask()).rejects.toThrow(HeliostatError);
      await expect(ask()).rejects.toThrow(/multiplexedModelId/);
    }
    expect(events).toEqual([]);
  });
});

describe("loading", () => {
  test("loads of one id at one time are one load, and a held model is not loaded again", async () => {
    const { models, events, loads } = manual();
    const both = Promise.all([models("a"), models("a")]);
    loads.get("a")!.resolve();
    const [first, second] = await both;
    expect(second).toBe(first);
    expect(await models("a")).toBe(first);
    expect(events).toEqual(["load a"]);
  });

  test("a failed load goes to all who waited, and is not remembered", async () => {
    const { models, events, loads } = manual({ maxModelsPerReplica: 1 });
    const waiting = [models("a"), models("a")];
    loads.get("a")!.reject(new TypeError("no such file"));
    for (const { reason } of (await Promise.allSettled(waiting)) as PromiseRejectedResult[])
      expect(reason).toEqual(new TypeError("no such file"));
    const again = models("a");
    loads.get("a")!.resolve();
    expect((await again).id).toBe("a");
    expect(events).toEqual(["load a", "load a"]);
  });

  test("a loader that throws instead of rejecting is a failed load", async () => {
    const models = makeMultiplexed(place)(() => {
      throw new TypeError("at once");
    });
    await expect(models("a")).rejects.toThrow("at once");
    await expect(models("a")).rejects.toThrow("at once");
  });

  test("a request that was cancelled before loads nothing", async () => {
    const { models, events } = quick();
    const request = replica.request("a");
    request.cancel();
    await expect(request.run(() => models())).rejects.toThrow(RequestCancelledError);
    expect(events).toEqual([]);
  });

  test("what goes on after a request that was cancelled loads as anybody does, and holds nothing", async () => {
    const { models, events } = quick({ maxModelsPerReplica: 1 });
    const users = new AsyncLocalStorage<string>();
    const request = replica.request("a");
    request.cancel();
    request.end();
    expect(await users.run("x", () => request.run(() => models()))).toMatchObject({ id: "a" });
    expect(await request.run(() => models())).toMatchObject({ id: "a" });
    expect(await request.run(() => models("b"))).toMatchObject({ id: "b" });
    expect(events.slice(0, 2)).toEqual(["load a", "dispose a"]);
  });

  test("it runs in none of the stores of those who asked", async () => {
    const users = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const see = (): void => void seen.push(users.getStore());
    const model = { [Symbol.dispose]: see };
    const load = async (): Promise<typeof model> => {
      see();
      return model;
    };
    const sizeOf = (): number => {
      see();
      return 1;
    };
    const models = makeMultiplexed(place)(load, { maxBytes: 1, sizeOf });
    for (const id of ["a", "b"]) {
      const request = replica.request(id);
      await users.run(id, () => request.run(() => models()));
      request.end();
    }
    await place.settle();
    expect(seen).toEqual(Array(5).fill(undefined));
  });

  test("it runs for the model, and no request's end ends it", async () => {
    const seen: unknown[] = [];
    const gate = Promise.withResolvers<string>();
    const models = makeMultiplexed(place)(async (_id, signal) => {
      const { multiplexedModelId, deadlineMs, identity } = place.contexts.get()!;
      seen.push([multiplexedModelId, deadlineMs, identity === replica.identity, signal]);
      return gate.promise;
    });
    const request = replica.request("other", { deadlineMs: 5_000 });
    const asked = request.run(() => models("a"));
    request.cancel();
    await expect(asked).rejects.toThrow(RequestCancelledError);
    expect(seen).toEqual([["a", Infinity, true, expect.objectContaining({ aborted: false })]]);
    gate.resolve("loaded");
    expect(await replica.request().run(() => models("a"))).toBe("loaded");
    expect(seen).toHaveLength(1);
  });
});

describe("places", () => {
  test("the model used longest ago goes, and is gone before its place is taken", async () => {
    const { models, events, loads, disposals, most } = manual({ maxModelsPerReplica: 2 });
    for (const id of ["a", "b"]) {
      const asked = models(id);
      loads.get(id)!.resolve();
      await asked;
    }
    await models("a");
    const third = models("c");
    await place.settle();
    expect(events).toEqual(["load a", "load b", "dispose b"]);
    disposals.get("b")!.resolve();
    await place.settle();
    expect(events.slice(2)).toEqual(["dispose b", "gone b", "load c"]);
    loads.get("c")!.resolve();
    await third;
    expect(most()).toBe(2);
  });

  test("by default three are held; -1 holds all", async () => {
    for (const [options, gone] of [
      [{}, ["dispose 0"]],
      [{ maxModelsPerReplica: -1 }, []],
    ] as const) {
      const { models, events } = quick(options);
      for (let i = 0; i < 4; i++) await models(String(i));
      expect(events.filter((event) => event.startsWith("dispose"))).toEqual(gone);
    }
  });

  test("never more than the limit are held or loading, however many are asked for", async () => {
    const { models, loads, disposals, most } = manual({ maxModelsPerReplica: 2 });
    const ids = ["a", "b", "c", "d", "e", "f"];
    const all = Promise.all(ids.map((id) => models(id)));
    for (let i = 0; i < 20; i++) {
      for (const load of loads.values()) load.resolve();
      for (const disposal of disposals.values()) disposal.resolve();
      await place.settle();
    }
    expect((await all).map(({ id }) => id)).toEqual(ids);
    expect(most()).toBe(2);
  });

  test("a model stays while a request that got it runs, and a load waits for its place", async () => {
    const { models, events } = quick({ maxModelsPerReplica: 1 });
    const holder = replica.request("a");
    await holder.run(() => models());
    const asked = replica.request("b").run(() => models());
    await place.settle();
    expect(events).toEqual(["load a"]);
    holder.end();
    expect((await asked).id).toBe("b");
    expect(events).toEqual(["load a", "dispose a", "load b"]);
  });

  test("also while it runs on after it was cancelled", async () => {
    const { models, events } = quick({ maxModelsPerReplica: 1 });
    const holder = replica.request("a");
    await holder.run(() => models());
    holder.cancel();
    void replica.request("b").run(() => models());
    await place.settle();
    expect(events).toEqual(["load a"]);
    holder.end();
    await place.settle();
    expect(events).toEqual(["load a", "dispose a", "load b"]);
  });

  test("what asks after its request has ended holds nothing", async () => {
    const { models, events } = quick({ maxModelsPerReplica: 1 });
    const request = replica.request("a");
    request.end();
    await request.run(() => models());
    await replica.request("b").run(() => models());
    expect(events).toEqual(["load a", "dispose a", "load b"]);
  });

  test("whoever is cancelled while it waits for a place leaves the line", async () => {
    const { models, events } = quick({ maxModelsPerReplica: 1 });
    const holder = replica.request("a");
    await holder.run(() => models());
    const left = replica.request("b");
    const asked = left.run(() => models());
    const next = replica.request("c").run(() => models());
    left.cancel();
    await expect(asked).rejects.toThrow(RequestCancelledError);
    holder.end();
    await next;
    expect(events).toEqual(["load a", "dispose a", "load c"]);
  });

  test("a request that would wait for itself gets an error", async () => {
    const { models } = quick({ maxModelsPerReplica: 1 });
    const request = replica.request();
    await request.run(() => models("a"));
    await expect(request.run(() => models("b"))).rejects.toThrow(/"b".*maxModelsPerReplica/);
    request.end();
    expect((await replica.request("b").run(() => models())).id).toBe("b");
  });

  test("so does the last of several requests that wait for each other", async () => {
    const { models } = quick({ maxModelsPerReplica: 2 });
    const [one, two] = [replica.request(), replica.request()];
    await one.run(() => models("a"));
    await two.run(() => models("b"));
    const first = one.run(() => models("c"));
    await expect(two.run(() => models("d"))).rejects.toThrow(HeliostatError);
    two.end();
    expect((await first).id).toBe("c");
  });

  test("a batch uses its model until it is over", async () => {
    const { models, events } = quick({ maxModelsPerReplica: 1 });
    const running = Promise.withResolvers<void>();
    const call = makeBatch(place)(
      async (items: number[]) => {
        await models();
        await running.promise;
        return items;
      },
      { maxBatchSize: 1 },
    );
    const batched = replica.request("a").run(() => call(1));
    await place.settle();
    const asked = replica.request("b").run(() => models());
    await place.settle();
    expect(events).toEqual(["load a"]);
    running.resolve();
    expect(await batched).toBe(1);
    expect((await asked).id).toBe("b");
    expect(events).toEqual(["load a", "dispose a", "load b"]);
  });

  test("replicas that share a process share no model", async () => {
    const { models, events } = quick();
    const other = place.replica("Model#2");
    const [mine, theirs] = [
      await replica.request("a").run(() => models()),
      await other.request("a").run(() => models()),
    ];
    expect(theirs).not.toBe(mine);
    expect(events).toEqual(["load a", "load a"]);
  });

  test("a destructor that fails frees the place and is told", async () => {
    const models = makeMultiplexed(place)(
      async (id) => ({
        id,
        [Symbol.dispose]() {
          throw new Error("stuck");
        },
      }),
      { maxModelsPerReplica: 1 },
    );
    await models("a");
    expect((await models("b")).id).toBe("b");
    expect(place.errors).toEqual([expect.stringMatching(/"a".*stuck/)]);
  });

  test("a model without a destructor just goes", async () => {
    const models = makeMultiplexed(place)(async (id) => id.toUpperCase(), { maxModelsPerReplica: 1 });
    expect([await models("a"), await models("b")]).toEqual(["A", "B"]);
  });
});

describe("bytes", () => {
  const limited: MultiplexedOptions<Model> = { maxModelsPerReplica: -1, maxBytes: 100, sizeOf: ({ bytes }) => bytes };

  test("those used longest ago go until the rest fits", async () => {
    const { models, events } = quick(limited);
    for (const id of ["a:30", "b:30", "c:30"]) await models(id);
    await models("a:30");
    await models("d:60");
    await place.settle();
    expect(events.filter((event) => event.startsWith("dispose"))).toEqual(["dispose b:30", "dispose c:30"]);
  });

  test("one that is in use stays, and loads wait", async () => {
    const { models, events } = quick(limited);
    const holder = replica.request("a:100");
    await holder.run(() => models());
    const asked = replica.request("b:10").run(() => models());
    await place.settle();
    expect(events).toEqual(["load a:100"]);
    holder.end();
    await asked;
    expect(events).toEqual(["load a:100", "dispose a:100", "load b:10"]);
  });

  test("one larger than the limit serves its requests, and goes then", async () => {
    const { models, events } = quick(limited);
    const holder = replica.request("a:200");
    expect((await holder.run(() => models())).bytes).toBe(200);
    expect(events).toEqual(["load a:200"]);
    holder.end();
    await place.settle();
    expect(events).toEqual(["load a:200", "dispose a:200"]);
  });

  test("a size that is none is an error, and the model goes", async () => {
    const { models, events } = quick({ ...limited, sizeOf: () => Number.NaN });
    await expect(models("a")).rejects.toThrow(/sizeOf/);
    expect(events).toEqual(["load a", "dispose a"]);
  });
});

describe("unload", () => {
  test("disposes of the model; the next one who asks loads it again", async () => {
    const { models, events } = quick();
    await models("a");
    await models.unload("a");
    expect(events).toEqual(["load a", "dispose a"]);
    await models("a");
    expect(events).toEqual(["load a", "dispose a", "load a"]);
  });

  test("waits for the requests that use it; later ones do not hold it up", async () => {
    const { models, events } = quick({ maxModelsPerReplica: 2 });
    const holder = replica.request("a");
    await holder.run(() => models());
    let isUnloaded = false;
    const unloaded = replica.reside(() => models.unload("a")).then(() => (isUnloaded = true));
    const later = replica.request("a");
    await later.run(() => models());
    await place.settle();
    expect(isUnloaded).toBe(false);
    expect(events).toEqual(["load a", "load a"]);
    holder.end();
    await unloaded;
    expect(events).toEqual(["load a", "load a", "dispose a"]);
  });

  test("of one that loads for nobody stops the load", async () => {
    const { models, loads } = manual();
    const request = replica.request("a");
    const asked = request.run(() => models());
    request.cancel();
    request.end();
    await expect(asked).rejects.toThrow(RequestCancelledError);
    const unloaded = replica.reside(() => models.unload("a"));
    expect(loads.get("a")!.signal.aborted).toBe(true);
    loads.get("a")!.reject(new Error("aborted"));
    await unloaded;
  });

  test("of one that is awaited outside of requests lets it load first", async () => {
    const { models, loads, disposals } = manual();
    const asked = replica.reside(() => models("a"));
    const unloaded = replica.reside(() => models.unload("a"));
    expect(loads.get("a")!.signal.aborted).toBe(false);
    loads.get("a")!.resolve();
    expect((await asked).id).toBe("a");
    await place.settle();
    disposals.get("a")!.resolve();
    await unloaded;
  });

  test("of one that is not there does nothing", async () => {
    const { models, events } = quick();
    await models.unload("a");
    expect(events).toEqual([]);
  });
});

describe("announcements", () => {
  test("tell what is held or loading, within 100 ms of each change", async () => {
    replica.models.open();
    const { models, loads } = manual({ maxModelsPerReplica: 2 });
    const request = replica.request("a");
    const asked = request.run(() => models());
    await place.settle();
    expect(replica.announced).toEqual([["a"]]);
    loads.get("a")!.resolve();
    await asked;
    void request.run(() => models("b"));
    await place.pass(99);
    expect(replica.announced).toEqual([["a"]]);
    await place.pass(1);
    expect(replica.announced).toEqual([["a"], ["a", "b"]]);
  });

  test("tell of a model that goes, and not of what waits for a place", async () => {
    replica.models.open();
    const { models } = quick({ maxModelsPerReplica: 1 });
    const holder = replica.request("a");
    await holder.run(() => models());
    const next = replica.request("b");
    const asked = next.run(() => models());
    await place.pass(200);
    expect(replica.announced).toEqual([["a"]]);
    holder.end();
    await asked;
    await place.pass(200);
    expect(replica.announced.at(-1)).toEqual(["b"]);
    next.end();
    await replica.reside(() => models.unload("b"));
    await place.pass(200);
    expect(replica.announced.at(-1)).toEqual([]);
  });

  test("begin when the replica is ready, with what was loaded before", async () => {
    const { models } = quick();
    await replica.reside(() => models("a"));
    await place.pass(200);
    expect(replica.announced).toEqual([]);
    replica.models.open();
    await place.settle();
    expect(replica.announced).toEqual([["a"]]);
  });

  test("are not made where nothing is different", async () => {
    replica.models.open();
    const { models } = quick();
    await place.settle();
    expect(replica.announced).toEqual([]);
    await replica.reside(() => models("a"));
    await place.pass(200);
    await replica.reside(() => models.unload("a"));
    await replica.reside(() => models("a"));
    await place.pass(200);
    expect(replica.announced).toEqual([["a"]]);
  });

  test("count each model once, over all loaders", async () => {
    replica.models.open();
    const [left, right] = [quick(), quick()];
    await replica.request("a").run(() => left.models());
    await replica.request("a").run(() => right.models());
    await replica.request("b").run(() => right.models());
    await place.pass(200);
    expect(replica.announced.at(-1)).toEqual(["a", "b"]);
  });
});

describe("the end of the replica", () => {
  test("disposes of all models, also of those in use, and refuses further ones", async () => {
    const { models, events } = quick();
    await replica.reside(() => models("a"));
    await replica.request("b").run(() => models());
    await replica.models.close();
    expect(events).toEqual(["load a", "load b", "dispose a", "dispose b"]);
    await expect(replica.request("a").run(() => models())).rejects.toThrow(ReplicaUnavailableError);
  });

  test("stops loads, and disposes of those that end nevertheless", async () => {
    const { models, events, loads, disposals } = manual();
    const asked = replica.request("a").run(() => models());
    const closed = replica.models.close();
    expect(loads.get("a")!.signal.aborted).toBe(true);
    loads.get("a")!.resolve();
    await asked;
    await place.settle();
    disposals.get("a")!.resolve();
    await closed;
    expect(events).toEqual(["load a", "dispose a", "gone a"]);
    expect(place.clock.pendingTimers).toBe(0);
  });

  test("does not wait long for loads that do not care", async () => {
    const { models } = manual();
    void replica.request("a").run(() => models());
    let isClosed = false;
    void replica.models.close().then(() => (isClosed = true));
    await place.pass(999);
    expect(isClosed).toBe(false);
    await place.pass(1);
    expect(isClosed).toBe(true);
  });

  test("ends the waiting for places", async () => {
    const { models } = quick({ maxModelsPerReplica: 1 });
    await replica.request("a").run(() => models());
    const asked = replica.request("b").run(() => models());
    await replica.models.close();
    await expect(asked).rejects.toThrow(ReplicaUnavailableError);
  });
});
