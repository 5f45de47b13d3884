import { describe, expect, it } from "vitest";
import { freeSlots, recordedCall } from "../../../testing/router-fixture.ts";
import { roundRobin } from "./round-robin.ts";

const call = recordedCall();

describe("roundRobin", () => {
  it("takes all in turn, whatever the order in which they are given", () => {
    const slots = freeSlots("a", "b", "c");
    const [a, b, c] = slots as [never, never, never];
    const policy = roundRobin({ slots });
    expect([
      policy([c, a, b], call),
      policy([b, c, a], call),
      policy([a, b, c], call),
      policy([b, c, a], call),
    ]).toEqual([a, b, c, a]);
  });

  it("passes over what has no place, and does not lose its turn", () => {
    const slots = freeSlots("a", "b", "c");
    const [a, b, c] = slots as [never, never, never];
    const policy = roundRobin({ slots });
    expect([policy([a, b, c], call), policy([a, c], call), policy([a, b, c], call), policy([b], call)]).toEqual([
      a,
      c,
      a,
      b,
    ]);
  });
});
