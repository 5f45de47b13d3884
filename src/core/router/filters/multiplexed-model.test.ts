import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RouterFixture, target } from "../../../testing/router-fixture.ts";

let fixture: RouterFixture;
beforeEach(() => {
  fixture = new RouterFixture();
});
afterEach(() => {
  expect(fixture.end()).toEqual([]);
});

const place = (multiplexedModelId: string) => fixture.placeOf(fixture.call({ multiplexedModelId }));

describe("multiplexed-model affinity", () => {
  it("goes to a replica that holds the model while it has a free place, then at once elsewhere", () => {
    fixture.update({ replicas: [target("a"), target("b", { modelIds: ["m"] }), target("c")], maxOngoingRequests: 2 });
    expect([place("m"), place("m")]).toEqual(["b", "b"]);
    expect(place("m")).not.toBe("b");
  });

  it("loads a model where there are the fewest", () => {
    fixture.update({
      replicas: [
        target("a", { modelIds: ["x", "y"] }),
        target("b", { modelIds: ["z"] }),
        target("c", { modelIds: ["x", "z"] }),
      ],
      maxOngoingRequests: 9,
    });
    expect(place("new")).toBe("b");
  });

  it("sends concurrent first requests for one model to one replica, and different models to different ones", () => {
    fixture.update({ replicas: ["a", "b", "c"], maxOngoingRequests: 20 });
    const first = Array.from({ length: 10 }, () => place("m"));
    expect(new Set(first).size).toBe(1);
    const second = Array.from({ length: 10 }, () => place("n"));
    expect(new Set(second).size).toBe(1);
    expect(second[0]).not.toBe(first[0]);
  });

  it("remembers over snapshots that say nothing new, and believes those that do", () => {
    fixture.update({ replicas: ["a", "b"], maxOngoingRequests: 20 });
    const first = place("m")!;
    fixture.update({ replicas: ["a", "b", target("c")] });
    expect(place("m")).toBe(first);
    const other = first === "a" ? "b" : "a";
    // The replica announced what it holds, and the model is not among it: it was unloaded, or could not be loaded.
    fixture.update({ replicas: [target(first, { modelIds: ["x", "y"] }), target(other, { modelIds: ["m"] })] });
    expect(Array.from({ length: 5 }, () => place("m"))).toEqual(Array(5).fill(other));
  });

  it("forgets with a replica that left", () => {
    fixture.update({ replicas: ["a", "b"], maxOngoingRequests: 20 });
    const first = place("m")!;
    const other = first === "a" ? "b" : "a";
    fixture.update({ replicas: [other] });
    expect(place("m")).toBe(other);
  });

  it("does not grow with model ids that are never announced", () => {
    fixture.update({ replicas: ["a"], maxOngoingRequests: 1 });
    for (let i = 0; i < 1_000; i++) {
      fixture.call({ multiplexedModelId: `m${i}` });
      fixture.replica("a").finish();
    }
    let held = 0;
    fixture.end();
    const policies = {
      Pricing: ((candidates) => (
        (held = candidates[0]!.multiplexedModelIds.size),
        candidates[0]!
      )) as import("../policy.ts").RouterPolicy,
    };
    fixture = new RouterFixture({ policies });
    fixture.update({
      replicas: ["a"],
      maxOngoingRequests: 1,
      policy: { module: "file:///app.ts", name: "Pricing", ordinal: 0 },
    });
    for (let i = 0; i < 1_000; i++) {
      fixture.call({ multiplexedModelId: `m${i}` });
      fixture.replica("a").finish();
    }
    expect(held).toBe(64);
  });
});
