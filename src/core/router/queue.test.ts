import { describe, expect, it } from "vitest";
import { ManualClock } from "../../testing/manual-clock.ts";
import { type RecordedCall, recordedCall } from "../../testing/router-fixture.ts";
import { settleWithError } from "../handle/settle.ts";
import { WaitingCalls } from "./queue.ts";

function waiting(sequence: number, options: { priority?: number; since?: number } = {}): RecordedCall {
  const call = recordedCall({ sequence, priority: options.priority ?? 0 });
  call.waitingSinceMs = options.since ?? sequence;
  return call;
}

function takeAll(queue: WaitingCalls): number[] {
  const sequences: number[] = [];
  for (let call = queue.shift(); call !== undefined; call = queue.shift()) sequences.push(call.sequence);
  return sequences;
}

function cancel(queue: WaitingCalls, call: RecordedCall): void {
  settleWithError(call, new Error("cancelled"));
  queue.remove(call);
}

describe("WaitingCalls", () => {
  it("serves in the order of the calls, whenever they came", () => {
    const queue = new WaitingCalls();
    for (const sequence of [5, 6, 9, 2, 7, 1, 10, 8]) queue.push(waiting(sequence, { since: 100 }));
    expect(queue.size).toBe(8);
    expect(takeAll(queue)).toEqual([1, 2, 5, 6, 7, 8, 9, 10]);
    expect(queue.entries).toBe(0);
  });

  it("serves a higher priority first, and one level makes up for one second", () => {
    const queue = new WaitingCalls();
    queue.push(waiting(1, { priority: 0, since: 1_000 }));
    queue.push(waiting(2, { priority: 2, since: 2_999 }));
    queue.push(waiting(3, { priority: 2, since: 3_001 }));
    queue.push(waiting(4, { priority: -1, since: 500 }));
    // Call 1 has waited more than two seconds longer than call 3, but not than call 2.
    expect(takeAll(queue)).toEqual([2, 1, 3, 4]);
  });

  it("takes priorities of any size", () => {
    const queue = new WaitingCalls();
    const priorities = [1e308, -1e308, 0, 1.5, 1e15, -0.25];
    priorities.forEach((priority, i) => queue.push(waiting(i, { priority, since: 1 })));
    expect(takeAll(queue).map((i) => priorities[i])).toEqual([...priorities].sort((a, b) => b - a));
  });

  it("agrees with a sort by age and priority for random arrivals, refusals and cancels", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const clock = new ManualClock({ seed });
      const queue = new WaitingCalls();
      const distinct = seed % 3 === 0 ? 1 : seed % 3 === 1 ? 4 : 400;
      const live = new Set<RecordedCall>();
      let nowMs = 0;
      for (let step = 1; step <= 600; step++) {
        nowMs += clock.random() * 20;
        const chance = clock.random();
        if (chance < 0.55) {
          const call = waiting(step, { priority: Math.floor(clock.random() * distinct) / 4, since: nowMs });
          queue.push(call);
          live.add(call);
        } else if (chance < 0.75 && live.size > 0) {
          const call = [...live][Math.floor(clock.random() * live.size)]!;
          live.delete(call);
          cancel(queue, call);
        } else {
          const call = queue.shift() as RecordedCall | undefined;
          expect(call).toBe(best(live));
          // Some come back, as after a refusal.
          if (call !== undefined && clock.random() < 0.5) queue.push(call);
          else if (call !== undefined) live.delete(call);
        }
        expect(queue.size).toBe(live.size);
      }
      while (live.size > 0) {
        const call = queue.shift() as RecordedCall;
        expect(call).toBe(best(live));
        live.delete(call);
      }
      expect(queue.entries).toBe(0);
    }
    function best(live: Set<RecordedCall>): RecordedCall | undefined {
      return [...live].sort(
        (a, b) =>
          b.priority - b.waitingSinceMs! / 1_000 - (a.priority - a.waitingSinceMs! / 1_000) || a.sequence - b.sequence,
      )[0];
    }
  });

  it("keeps no entry of 10,000 calls that are cancelled in random order", () => {
    const clock = new ManualClock({ seed: 7 });
    for (const priorities of [1, 3, 10_000]) {
      const queue = new WaitingCalls();
      const calls = Array.from({ length: 10_000 }, (_, i) => waiting(i + 1, { priority: i % priorities }));
      for (const call of calls) queue.push(call);
      for (let left = calls.length; left > 0; left--) {
        const at = Math.floor(clock.random() * left);
        const call = calls[at]!;
        calls[at] = calls[left - 1]!;
        cancel(queue, call);
        // Dead entries are bounded by live ones all the way.
        if (left % 500 === 0)
          expect(queue.entries).toBeLessThanOrEqual(2 * queue.size + 33 * Math.min(priorities, queue.size) + 1);
      }
      expect(queue.size).toBe(0);
      expect(queue.entries).toBe(0);
    }
  });

  it("gives all at once, oldest first", () => {
    const queue = new WaitingCalls();
    for (const sequence of [3, 1, 2, 5, 4]) queue.push(waiting(sequence, { priority: sequence % 2 }));
    expect(queue.drain().map((call) => call.sequence)).toEqual([1, 2, 3, 4, 5]);
    expect(queue.size).toBe(0);
    expect(queue.shift()).toBeUndefined();
  });

  it("holds and serves 100,000 calls that come in the worst order", () => {
    const clock = new ManualClock({ seed: 3 });
    const queue = new WaitingCalls();
    const sequences = Array.from({ length: 100_000 }, (_, i) => i + 1);
    for (let i = sequences.length - 1; i > 0; i--) {
      const j = Math.floor(clock.random() * (i + 1));
      [sequences[i], sequences[j]] = [sequences[j]!, sequences[i]!];
    }
    for (const sequence of sequences) queue.push(waiting(sequence, { since: 1 }));
    const served = takeAll(queue);
    expect(served).toHaveLength(100_000);
    expect(served.every((sequence, i) => sequence === i + 1)).toBe(true);
  });
});
