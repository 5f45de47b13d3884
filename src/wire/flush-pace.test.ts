import { expect, test } from "vitest";
import { FlushPace } from "./flush-pace.ts";
import { FLUSH_BYTES } from "./frames.ts";

/** Early flushes until a pace has looked at what they cost. */
const LOOK = 64;

function flushEarly(pace: FlushPace, times: number): void {
  for (let i = 0; i < times; i++) {
    pace.flushed();
    pace.turnEnded();
  }
}

test("the first flush of a turn comes early, each next one takes twice as much", () => {
  const pace = new FlushPace(() => 0);
  const first = pace.bytes;
  expect(first).toBeLessThan(FLUSH_BYTES);
  pace.flushed();
  expect(pace.bytes).toBe(first * 2);
  for (let i = 0; i < 10; i++) pace.flushed();
  expect(pace.bytes).toBe(FLUSH_BYTES);
  pace.turnEnded();
  expect(pace.bytes).toBe(first);
});

test("where preemptions cannot be counted, nothing is flushed early", () => {
  const pace = new FlushPace(undefined);
  expect(pace.bytes).toBe(FLUSH_BYTES);
  pace.flushed();
  pace.turnEnded();
  expect(pace.bytes).toBe(FLUSH_BYTES);
});

test("when others often take the core at it, early flushes pause, longer each time, and are tried again", () => {
  let preemptions = 0;
  const pace = new FlushPace(() => preemptions++ * LOOK);
  const first = pace.bytes;
  const pause = (): number => {
    flushEarly(pace, LOOK);
    let turns = 0;
    while (pace.bytes > FLUSH_BYTES) {
      pace.turnEnded();
      turns++;
    }
    expect(pace.bytes).toBe(first);
    return turns;
  };
  const once = pause();
  expect(once).toBeGreaterThan(LOOK);
  expect(pause()).toBeGreaterThan(once * 1.5);
});

test("a few preemptions are no reason", () => {
  let looks = 0;
  const pace = new FlushPace(() => looks++);
  flushEarly(pace, LOOK * 5);
  expect(pace.bytes).toBeLessThan(FLUSH_BYTES);
});
