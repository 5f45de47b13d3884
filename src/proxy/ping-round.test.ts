import { expect, it } from "vitest";
import { ManualClock } from "../testing/manual-clock.ts";
import { type Pinged, PingRound } from "./ping-round.ts";

class Peer implements Pinged {
  isAlive = true;
  pings = 0;
  isGone = false;

  ping(): void {
    this.pings++;
  }

  onSilent(): void {
    this.isGone = true;
  }
}

it("H13: a peer is pinged at every interval, and given up when it has not answered by the next time", () => {
  const clock = new ManualClock();
  const round = new PingRound(clock, 100);
  const [there, gone] = [new Peer(), new Peer()];
  round.add(there);
  round.add(gone);
  for (let i = 0; i < 5; i++) {
    clock.advance(100);
    there.isAlive = true;
  }
  expect([there.pings, there.isGone, gone.pings, gone.isGone]).toEqual([5, false, 1, true]);
  round.remove(there);
  clock.advance(100);
  expect(clock.pendingTimers).toBe(0);
});

it("with an interval of 0 nobody is asked", () => {
  const clock = new ManualClock();
  const round = new PingRound(clock, 0);
  round.add(new Peer());
  expect(clock.pendingTimers).toBe(0);
});
