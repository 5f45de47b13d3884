import { ManualClock } from "../../src/testing/manual-clock.ts";

/** How long each of these tests goes on: short in every run of the suite, long where somebody asks for it. */
export const BUDGET_MS: number = Number(process.env["FUZZ_MS"] ?? 2_000) / 2;
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 32));

/** Repeatable chance. */
export class Chance {
  readonly #clock: ManualClock;

  constructor(seed: number) {
    this.#clock = new ManualClock({ seed });
  }

  below(n: number): number {
    return Math.floor(this.#clock.random() * n);
  }

  one<T>(of: readonly T[]): T {
    return of[this.below(of.length)]!;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  /** Small, or at an edge. */
  length(): number {
    return this.one([0, 1, 4, 8, 9, 12, 20, this.below(40), this.below(400), 16_384, 16_385, 20_000]);
  }
}

/** Runs `round` with a seed of its own until the time is over, and names the seed that failed. */
export async function forAWhile(round: (chance: Chance) => void | Promise<void>, atLeast = 20): Promise<number> {
  const endMs = performance.now() + BUDGET_MS;
  let rounds = 0;
  for (; performance.now() < endMs || rounds < atLeast; rounds++) {
    const seed = (SEED + rounds) >>> 0;
    try {
      await round(new Chance(seed));
    } catch (cause) {
      throw new Error(`It failed with FUZZ_SEED=${seed}: ${String(cause)}`, { cause });
    }
  }
  return rounds;
}
