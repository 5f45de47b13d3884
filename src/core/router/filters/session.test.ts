import { describe, expect, it } from "vitest";
import { RouterFixture, target } from "../../../testing/router-fixture.ts";

const replicas = ["a", "b", "c", "d"];

function caller(order = replicas, maxOngoingRequests = 50): RouterFixture {
  const fixture = new RouterFixture();
  fixture.update({ replicas: order, maxOngoingRequests });
  return fixture;
}

const placesOf = (fixture: RouterFixture) =>
  Array.from({ length: 40 }, (_, i) => fixture.placeOf(fixture.call({ sessionId: `s${i}` })));

describe("session affinity", () => {
  it("is the same for all callers, also for one that has lost a connection or knows another order", () => {
    const [first, second, third] = [caller(), caller(["d", "b", "a", "c"]), caller()];
    third.replica("c").lose();
    const places = placesOf(first);
    expect(new Set(places).size).toBe(4);
    expect(placesOf(second)).toEqual(places);
    placesOf(third).forEach((place, i) => expect(places[i] === "c" || place === places[i]).toBe(true));
    for (const fixture of [first, second, third]) expect(fixture.end()).toEqual([]);
  });

  it("goes to the next on the ring while the owner has no free place, and back when it has", () => {
    const fixture = caller(replicas, 1);
    const places = Array.from({ length: 4 }, () => fixture.placeOf(fixture.call({ sessionId: "s" })));
    expect(new Set(places).size).toBe(4);
    const owner = places[0]!;
    fixture.replica(owner).finish();
    expect(fixture.placeOf(fixture.call({ sessionId: "s" }))).toBe(owner);
    fixture.finishAll();
    const again = Array.from({ length: 4 }, () => fixture.placeOf(fixture.call({ sessionId: "s" })));
    expect(again).toEqual(places);
    expect(fixture.end()).toEqual([]);
  });

  it("does not hold up others: a session waits only if nobody has a place", () => {
    const fixture = caller(["a"], 1);
    const calls = ["s", "t", ""].map((sessionId) => fixture.call({ sessionId }));
    fixture.replica("a").finish();
    fixture.replica("a").finish();
    expect(fixture.placeOf(calls[2]!)).toBe("a");
    expect(fixture.end()).toEqual([]);
  });

  it("moves only the sessions of a replica that went", () => {
    const fixture = caller();
    const before = placesOf(fixture);
    fixture.update({ replicas: ["a", "b", "d"] });
    const after = placesOf(fixture);
    before.forEach((place, i) => expect(place === "c" || after[i] === place).toBe(true));
    expect(fixture.end()).toEqual([]);
  });

  it("stays among the replicas that hold the model", () => {
    const fixture = new RouterFixture();
    fixture.update({
      replicas: [target("a"), target("b", { modelIds: ["m"] }), target("c", { modelIds: ["m"] }), target("d")],
      maxOngoingRequests: 50,
    });
    const places = Array.from({ length: 20 }, (_, i) =>
      fixture.placeOf(fixture.call({ sessionId: `s${i}`, multiplexedModelId: "m" })),
    );
    expect(new Set(places)).toEqual(new Set(["b", "c"]));
    const one = Array.from({ length: 10 }, () =>
      fixture.placeOf(fixture.call({ sessionId: "s1", multiplexedModelId: "m" })),
    );
    expect(new Set(one)).toEqual(new Set([places[1]]));
    expect(fixture.end()).toEqual([]);
  });
});
