import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HeliostatError } from "heliostat";
import { testCluster } from "heliostat/testing";
import { describe, expect, it } from "vitest";
import { batcher } from "../fixtures/batcher.ts";
import { modelShelf, stocked } from "../fixtures/model-shelf.ts";
import { failureOf, start, until } from "./harness.ts";

/** Operations M8 and M9, and what a routing policy learns of replicas. */
describe.each(["processes", "local"] as const)("multiplexing, %s", (mode) => {
  it("loads the request's model once, and only while it has it", async () => {
    await using running = await start(mode, modelShelf.bind());
    const ask = (id: string) => running.handle.options({ multiplexedModelId: id }).remote();
    expect((await Promise.all([ask("a"), ask("a")])).map(({ id }) => id)).toEqual(["a", "a"]);
    for (const id of ["b", "a", "c", "b"]) expect((await ask(id)).id).toBe(id);
    expect(await running.handle.loads.remote()).toEqual(["a", "b", "c", "b"]);
    await running.handle.unload.remote("b");
    await ask("b");
    expect((await running.handle.loads.remote()).slice(4)).toEqual(["b"]);
  });

  it("passes on what the loader throws, and says how to name a model", async () => {
    await using running = await start(mode, modelShelf.bind());
    const missing = running.handle.options({ multiplexedModelId: "missing" });
    expect(await failureOf(missing.remote())).toMatchObject({ name: "RangeError", message: "there is no such model" });
    await failureOf(missing.remote());
    expect(await running.handle.loads.remote()).toEqual(["missing", "missing"]);
    const error = await failureOf(running.handle.remote());
    expect(error).toBeInstanceOf(HeliostatError);
    expect(error.message).toContain("multiplexedModelId");
  });

  it("keeps a model while a request uses it: a load waits for its place", async () => {
    await using running = await start(mode, modelShelf.bind());
    const { handle } = running;
    const of = (multiplexedModelId: string) => handle.options({ multiplexedModelId });
    const used = [of("a").use.remote(), of("b").use.remote()];
    await until(async () => (await handle.loads.remote()).length === 2, "the models were not loaded");
    const waiting = of("c").remote();
    expect(await failureOf(waiting.result({ timeoutMs: 50 }))).toMatchObject({ stopped: false });
    expect(await handle.loads.remote()).toEqual(["a", "b"]);
    await handle.release.remote("a");
    expect((await waiting).id).toBe("c");
    await handle.release.remote("b");
    expect(await Promise.all(used)).toEqual(["a", "b"]);
  });

  it("disposes of all models when the replica stops", async () => {
    const folder = mkdtempSync(join(tmpdir(), "heliostat-models-"));
    const file = join(folder, "gone");
    writeFileSync(file, "");
    try {
      {
        await using running = await start(mode, modelShelf.bind(file));
        for (const id of ["a", "b"]) await running.handle.options({ multiplexedModelId: id }).remote();
        expect(readFileSync(file, "utf8")).toBe("");
      }
      expect(readFileSync(file, "utf8").trim().split("\n").toSorted()).toEqual(["a", "b"]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("sends requests where their model is, and new models where the fewest are", async () => {
    await using running = await start(mode, modelShelf.options({ numReplicas: 2 }).bind());
    const ask = (id: string) => running.handle.options({ multiplexedModelId: id }).remote();
    const homes = new Map<string, string>();
    for (const id of ["a", "b", "c", "d"]) {
      homes.set(id, (await ask(id)).replica);
      // The time within which every router knows.
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    const [left, right] = [...new Set(homes.values())];
    expect([...homes.values()].filter((home) => home === left)).toHaveLength(2);
    expect(right).toBeDefined();
    for (let round = 0; round < 5; round++) {
      for (const [id, home] of homes) expect((await ask(id)).replica).toBe(home);
    }
    expect((await running.handle.broadcast("loads")).flat().toSorted()).toEqual(["a", "b", "c", "d"]);
  });

  it("shows a routing policy what recordRoutingStats gives, as it changes", async () => {
    await using running = await start(mode, stocked.bind());
    await until(async () => (await running.handle.remote()) === 1, "the policy does not see the stats");
    await running.handle.broadcast("add", 5);
    await until(async () => (await running.handle.remote()) === 0, "the policy does not see new stats");
  });
});

/** On virtual time, where a timer that is left is found. */
describe("a cluster on virtual time", () => {
  it("is asked for stats every period, and no more when the replica was killed", async () => {
    await using cluster = await testCluster();
    const handle = await cluster.run(stocked.bind());
    await cluster.advance(25);
    expect(await handle.remote()).toBe(1);
    await handle.broadcast("add", 5);
    await cluster.advance(25);
    expect(await handle.remote()).toBe(0);
    await cluster.killReplica({ deployment: "Stocked" });
  });

  it("waits for batches on the cluster's clock", async () => {
    await using cluster = await testCluster();
    const handle = await cluster.run(batcher.bind());
    const asked = handle.double.remote(1);
    await cluster.advance(49);
    expect(await handle.batches.remote()).toEqual([]);
    await cluster.advance(1);
    expect(await asked).toBe(2);
  });
});
