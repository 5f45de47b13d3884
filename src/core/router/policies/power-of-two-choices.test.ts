import { describe, expect, it } from "vitest";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { freeSlots, recordedCall } from "../../../testing/router-fixture.ts";
import { powerOfTwoChoices } from "./power-of-two-choices.ts";

const call = recordedCall();

describe("powerOfTwoChoices", () => {
  it("takes the only candidate", () => {
    const slots = freeSlots("a");
    expect(powerOfTwoChoices(slots, call, new ManualClock())).toBe(slots[0]);
  });

  it("never takes the most loaded, and the least loaded most often", () => {
    const slots = freeSlots("a", "b", "c");
    slots[0]!.own = 3;
    slots[1]!.others = 2;
    const picks = { a: 0, b: 0, c: 0 };
    const clock = new ManualClock();
    for (let i = 0; i < 3_000; i++) picks[powerOfTwoChoices(slots, call, clock).target.replicaId as "a"]++;
    expect(picks.a).toBe(0);
    expect(picks.c / 3_000).toBeCloseTo(2 / 3, 1);
  });

  it("breaks ties evenly", () => {
    const slots = freeSlots("a", "b", "c", "d");
    const picks = new Map<string, number>();
    const clock = new ManualClock();
    for (let i = 0; i < 8_000; i++) {
      const { replicaId } = powerOfTwoChoices(slots, call, clock).target;
      picks.set(replicaId, (picks.get(replicaId) ?? 0) + 1);
    }
    for (const count of picks.values()) expect(Math.abs(count - 2_000)).toBeLessThan(200);
    expect(picks.size).toBe(4);
  });
});
