import { describe, expect, it } from "vitest";
import { SpinChoice } from "./spin-choice.ts";

const WINDOW_US = 50;

/** How long a round takes, by what is done in it. */
interface World {
  sleeping(round: number): number;
  spinning(round: number): number;
}

/** Two sides on idle cores of their own: the wake-ups are most of a round. */
const apart: World = { sleeping: () => 70, spinning: () => 11 };
/** Both on one core: who spins keeps the other from working, so nothing comes before the window is over. */
const together: World = { sleeping: () => 9, spinning: () => Infinity };

class Rounds {
  readonly choice = new SpinChoice();
  readonly ways: boolean[] = [];
  nowUs = 1_000_000;

  /** @returns how many of them spun. */
  run(count: number, world: World, thinkUs = 0): number {
    let spun = 0;
    for (let i = 0; i < count; i++) {
      const spins = this.choice.begin(this.nowUs);
      const tookUs = spins ? world.spinning(i) : world.sleeping(i);
      const missed = spins && tookUs > WINDOW_US;
      this.nowUs += missed ? WINDOW_US : tookUs;
      this.choice.end(this.nowUs, missed ? Infinity : tookUs, WINDOW_US);
      // The reply comes when the loop sleeps again.
      if (missed) this.nowUs += world.sleeping(i);
      this.nowUs += thinkUs;
      this.ways.push(spins);
      if (spins) spun++;
    }
    return spun;
  }
}

describe("a choice between spinning and sleeping", () => {
  it("sleeps until it knows how long that takes, then spins where that is faster", () => {
    const rounds = new Rounds();
    expect(rounds.run(16, apart)).toBe(0);
    rounds.run(84, apart);
    const spun = rounds.run(10_000, apart);
    expect(spun / 10_000).toBeGreaterThan(0.98);
  });

  it("looks now and then whether sleeping has become as good", () => {
    const rounds = new Rounds();
    rounds.run(100, apart);
    const spun = rounds.run(10_000, apart);
    expect(spun).toBeLessThan(10_000);
    expect(rounds.run(5_000, { sleeping: () => 11, spinning: () => 11 })).toBeLessThan(4_000);
    expect(rounds.run(5_000, { sleeping: () => 11, spinning: () => 11 })).toBeLessThan(200);
  });

  it("loses little where spinning does harm", () => {
    const rounds = new Rounds();
    const startUs = rounds.nowUs;
    const spun = rounds.run(100_000, together);
    const lost = (rounds.nowUs - startUs) / (100_000 * 9) - 1;
    expect(spun).toBeGreaterThan(0);
    expect(lost).toBeLessThan(0.01);
  });

  it("loses little where the work takes longer than the window", () => {
    const rounds = new Rounds();
    const spun = rounds.run(10_000, { sleeping: () => 2_000, spinning: () => 2_000 });
    expect(spun).toBeGreaterThan(0);
    expect(spun / 10_000).toBeLessThan(0.02);
  });

  it("does not spin for what comes hardly sooner by it", () => {
    const rounds = new Rounds();
    rounds.run(5_000, { sleeping: () => 40, spinning: () => 38 });
    expect(rounds.run(10_000, { sleeping: () => 40, spinning: () => 38 }) / 10_000).toBeLessThan(0.05);
  });

  it("stops soon when spinning pays no longer, and begins again when it does", () => {
    const rounds = new Rounds();
    rounds.run(5_000, apart);
    expect(rounds.run(1_000, together)).toBeLessThan(150);
    rounds.run(40_000, together);
    const spun = rounds.run(10_000, apart);
    expect(spun / 10_000).toBeGreaterThan(0.5);
  });

  it("is not misled by a few rounds that took long for another reason", () => {
    const rounds = new Rounds();
    rounds.run(1_000, apart);
    const before = rounds.ways.length;
    const pauses: World = { sleeping: () => 70, spinning: (i) => (i % 20 < 2 ? Infinity : 11) };
    expect(rounds.run(1_000, pauses) / (rounds.ways.length - before)).toBeGreaterThan(0.95);
  });

  it("measures what a call takes, not how long the caller thinks between two", () => {
    const rounds = new Rounds();
    rounds.run(200, apart, 100_000);
    expect(rounds.run(1_000, apart, 100_000)).toBeGreaterThan(900);
  });
});
