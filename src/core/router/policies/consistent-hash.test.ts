import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RouterFixture } from "../../../testing/router-fixture.ts";

let fixture: RouterFixture;
beforeEach(() => {
  fixture = new RouterFixture();
  fixture.update({ replicas: ["a", "b", "c"], maxOngoingRequests: 100, policy: "consistent-hash" });
});
afterEach(() => {
  expect(fixture.end()).toEqual([]);
});

describe("consistentHash", () => {
  it("keeps a session at one replica", () => {
    const places = new Set(Array.from({ length: 20 }, () => fixture.placeOf(fixture.call({ sessionId: "s" }))));
    expect(places.size).toBe(1);
  });

  it("spreads requests without a session, the same request always to the same replica", () => {
    const places = Array.from({ length: 60 }, (_, i) => fixture.placeOf(fixture.call({ sequence: 500_000 + i })));
    expect(new Set(places).size).toBe(3);
    const again = Array.from({ length: 60 }, (_, i) => fixture.placeOf(fixture.call({ sequence: 500_000 + i })));
    expect(again).toEqual(places);
  });
});
