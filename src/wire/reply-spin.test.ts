import { describe, expect, it } from "vitest";
import { ManualClock } from "../testing/manual-clock.ts";
import { ManualPoller } from "../testing/manual-poller.ts";
import { ReplySpin } from "./reply-spin.ts";

const WINDOW_US = 50;

class Bench {
  readonly clock = new ManualClock();
  readonly poller = new ManualPoller();
  readonly spin = new ReplySpin(this.clock, this.poller);
  #id = 0;

  send(): { id: number; spins: boolean } {
    const spins = this.spin.sending(WINDOW_US);
    const id = this.#id++ % 8;
    this.spin.sent(id);
    return { id, spins };
  }

  pass(us: number): void {
    this.clock.advance(us / 1_000);
  }

  /** Makes calls of which those that are spun for come back sooner, until the next one is spun for outside of a trial. */
  learn(): void {
    for (let i = 0; i < 200; i++) {
      const { id, spins } = this.send();
      this.poller.turn();
      this.pass(spins ? 11 : 70);
      this.spin.answered(id);
      this.poller.turn();
    }
  }
}

describe("spinning for replies", () => {
  it("keeps the loop awake until the reply has come", () => {
    const bench = new Bench();
    bench.learn();
    expect(bench.poller.size).toBe(0);
    const { id, spins } = bench.send();
    expect(spins).toBe(true);
    for (let i = 0; i < 10; i++) {
      bench.poller.turn();
      expect(bench.poller.size).toBe(1);
      bench.pass(1);
    }
    bench.spin.answered(id);
    bench.poller.turn();
    expect(bench.poller.size).toBe(0);
  });

  it("gives up when the window since the last call is over", () => {
    const bench = new Bench();
    bench.learn();
    bench.send();
    bench.poller.turn();
    bench.pass(WINDOW_US - 1);
    bench.send();
    bench.poller.turn();
    bench.pass(WINDOW_US - 1);
    bench.poller.turn();
    expect(bench.poller.size).toBe(1);
    bench.pass(2);
    bench.poller.turn();
    expect(bench.poller.size).toBe(0);
  });

  it("goes on while one of several replies is awaited", () => {
    const bench = new Bench();
    bench.learn();
    const [a, b] = [bench.send(), bench.send()];
    bench.poller.turn();
    bench.spin.answered(a.id);
    bench.spin.answered(a.id); // As the items of a stream do.
    bench.poller.turn();
    expect(bench.poller.size).toBe(1);
    bench.spin.answered(b.id);
    bench.poller.turn();
    expect(bench.poller.size).toBe(0);
  });

  it("ends with the connection", () => {
    const bench = new Bench();
    bench.learn();
    bench.send();
    bench.poller.turn();
    bench.spin.stop();
    bench.poller.turn();
    expect(bench.poller.size).toBe(0);
  });

  it("asks for one watch, however many calls there are", () => {
    const bench = new Bench();
    bench.learn();
    for (let i = 0; i < 5; i++) bench.send();
    expect(bench.poller.size).toBe(1);
  });

  it("does not spin where replies come after the window", () => {
    const bench = new Bench();
    let spun = 0;
    for (let i = 0; i < 1_000; i++) {
      const { id, spins } = bench.send();
      if (spins) spun++;
      bench.poller.turn();
      bench.pass(WINDOW_US * 4);
      bench.poller.turn();
      expect(bench.poller.size).toBe(0);
      bench.spin.answered(id);
    }
    expect(spun).toBeGreaterThan(0);
    expect(spun).toBeLessThan(30);
  });
});
