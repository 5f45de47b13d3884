import { expect, it } from "vitest";
import { ManualClock } from "../testing/manual-clock.ts";
import { type Receiving, ReceiveWatch } from "./receive-watch.ts";

class Upload implements Receiving {
  lastReceivedMs = 0;
  isHeldBack = false;
  silences = 0;

  onSilent(): void {
    this.silences++;
  }
}

function watch() {
  const clock = new ManualClock();
  return { clock, watch: new ReceiveWatch(clock, 1_000) };
}

it("a client that falls silent is given up once, one that goes on sending is not, however long it takes", () => {
  const { clock, watch: watched } = watch();
  const [silent, slow] = [new Upload(), new Upload()];
  watched.add(silent);
  watched.add(slow);
  for (let i = 0; i < 30; i++) {
    clock.advance(500);
    slow.lastReceivedMs = clock.now();
  }
  expect([silent.silences, slow.silences]).toEqual([1, 0]);
  watched.remove(slow);
  clock.advance(5_000);
  expect([slow.silences, clock.pendingTimers]).toEqual([0, 0]);
});

it("the time in which a client is held back does not count", () => {
  const { clock, watch: watched } = watch();
  const upload = new Upload();
  watched.add(upload);
  upload.isHeldBack = true;
  clock.advance(10_000);
  upload.isHeldBack = false;
  clock.advance(800);
  expect(upload.silences).toBe(0);
  clock.advance(400);
  expect(upload.silences).toBe(1);
  expect(clock.pendingTimers).toBe(0);
});
