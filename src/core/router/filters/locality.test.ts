import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freeSlots, RouterFixture, target } from "../../../testing/router-fixture.ts";
import { preferLocal } from "./locality.ts";

describe("preferLocal", () => {
  it("keeps those on the node, or all if there are none", () => {
    const slots = freeSlots(
      target("a", { nodeId: "n1" }),
      target("b", { nodeId: "n2" }),
      target("c", { nodeId: "n1" }),
    );
    expect(preferLocal(slots, "n1", [])).toEqual([slots[0], slots[2]]);
    expect(preferLocal(slots, "n3", [])).toBe(slots);
  });
});

describe("preferLocalRouting", () => {
  let fixture: RouterFixture;
  beforeEach(() => {
    fixture = new RouterFixture();
    fixture.update({
      replicas: [target("far-1", { nodeId: "there" }), target("near"), target("far-2", { nodeId: "there" })],
      maxOngoingRequests: 2,
    });
  });
  afterEach(() => {
    expect(fixture.end()).toEqual([]);
  });

  it("fills the replica on the own node first, then goes to others", () => {
    const places = Array.from({ length: 4 }, () => fixture.placeOf(fixture.call({ preferLocalRouting: true })));
    expect(places.slice(0, 2)).toEqual(["near", "near"]);
    expect(places.slice(2).every((place) => place!.startsWith("far"))).toBe(true);
  });
});
