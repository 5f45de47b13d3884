import { describe, expect, it } from "vitest";
import { freeSlots, recordedCall } from "../../../testing/router-fixture.ts";
import { roundRobin } from "./round-robin.ts";

const call = recordedCall();

describe("roundRobin", () => {
  it("takes all in turn, whatever the order in which they are given", () => {
    const [a, b, c] = freeSlots("a", "b", "c") as [never, never, never];
    const policy = roundRobin();
    expect([policy([c, a, b], call), policy([b, c, a], call), policy([a, b, c], call), policy([b, c, a], call)]).toEqual([a, b, c, a]);
  });

  it("passes over what has no place, and does not lose its turn", () => {
    const [a, b, c] = freeSlots("a", "b", "c") as [never, never, never];
    const policy = roundRobin();
    expect([policy([a, b, c], call), policy([a, c], call), policy([a, b, c], call), policy([b], call)]).toEqual([a, c, a, b]);
  });
});
