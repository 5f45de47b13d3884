import { describe, expect, it } from "vitest";
import { ManualClock } from "../testing/manual-clock.ts";
import { ManualPoller } from "../testing/manual-poller.ts";
import { RequestSpin } from "./request-spin.ts";

const WINDOW_US = 50;

/** Calls that come so many microseconds apart; returns how many windows passed in vain. */
function calls(count: number, apartUs: number): { readonly spunUs: number; readonly size: number } {
  const clock = new ManualClock();
  const poller = new ManualPoller();
  const spin = new RequestSpin(clock, poller);
  let spunUs = 0;
  for (let i = 0; i < count; i++) {
    spin.called(WINDOW_US);
    for (let us = 0; us < apartUs; us++) {
      poller.turn();
      spunUs += poller.size;
      clock.advance(0.001);
    }
  }
  for (let us = 0; us <= WINDOW_US; us++) {
    poller.turn();
    clock.advance(0.001);
  }
  return { spunUs, size: poller.size };
}

describe("spinning for requests", () => {
  it("keeps the loop awake from one call to the next while they come fast", () => {
    const { spunUs, size } = calls(100, 11);
    expect(spunUs).toBe(1_100);
    expect(size).toBe(0);
  });

  it("hardly spins where the caller takes its time", () => {
    const { spunUs } = calls(1_000, 500);
    expect(spunUs).toBeGreaterThanOrEqual(WINDOW_US);
    // Of 1,000 windows nine: after 1, 3, 7 … 511 calls.
    expect(spunUs).toBeLessThan(WINDOW_US * 11);
  });

  it("takes calls that come together for one", () => {
    const clock = new ManualClock();
    const poller = new ManualPoller();
    const spin = new RequestSpin(clock, poller);
    const batch = (): void => {
      for (let i = 0; i < 8; i++) spin.called(WINDOW_US);
      poller.turn();
    };
    batch();
    expect(poller.size).toBe(1);
    clock.advance(1);
    poller.turn();
    expect(poller.size).toBe(0);
    spin.called(WINDOW_US);
    expect(poller.size, "after a window in vain").toBe(0);
  });

  it("stops with the connection", () => {
    const clock = new ManualClock();
    const poller = new ManualPoller();
    const spin = new RequestSpin(clock, poller);
    spin.called(WINDOW_US);
    poller.turn();
    expect(poller.size).toBe(1);
    spin.stop();
    poller.turn();
    expect(poller.size).toBe(0);
  });
});
