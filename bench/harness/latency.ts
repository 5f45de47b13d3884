import { median } from "./contest.ts";

/** One way to make a single call. */
export interface Caller {
  readonly name: string;
  call(): PromiseLike<unknown>;
  /** Microseconds of some calls, of one that a process of its own makes and measures. */
  times?(): Promise<number[]>;
}

/** How long the calls of one contender took, in microseconds. */
export interface Latency {
  readonly what: string;
  readonly contender: string;
  /** Median over the rounds. */
  readonly p50Us: number;
  /** Of the calls of all rounds, at each of `quantiles`. */
  readonly quantilesUs: readonly number[];
  /** Median over the rounds of the p50 through that of the first contender in the same round. */
  readonly ratio: number;
  /** The same, of the difference. */
  readonly aboveUs: number;
}

export interface LatencyOptions {
  readonly what: string;
  readonly rounds: number;
  /** Of one sample. */
  readonly sampleMs: number;
  /** So many at a time. @default 1 */
  readonly width?: number;
}

/** Where distributions are told: enough for a curve. */
export const quantiles: readonly number[] = [
  0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999,
];

const MAX_CALLS = 100_000;

/** Times every call, in turns as `contest` does. The clock itself takes about 0.1 us of each. */
export async function latencies(callers: readonly Caller[], options: LatencyOptions): Promise<Latency[]> {
  const { what, rounds, sampleMs, width = 1 } = options;
  const samples: number[][][] = callers.map(() => []);
  const times = async (caller: Caller): Promise<number[]> => {
    const found = (await caller.times?.()) ?? (await timed(caller, width, sampleMs));
    return found.sort((a, b) => a - b);
  };
  for (const caller of callers) await times(caller);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < callers.length; i++) {
      const at = (round + i) % callers.length;
      globalThis.gc?.({ type: "minor" });
      samples[at]!.push(await times(callers[at]!));
    }
  }
  const medians = samples.map((own) => own.map((sorted) => quantile(sorted, 0.5)));
  return callers.map(({ name }, at) => {
    const all = samples[at]!.flat().sort((a, b) => a - b);
    return {
      what,
      contender: name,
      p50Us: median(medians[at]!),
      quantilesUs: quantiles.map((share) => quantile(all, share)),
      ratio: median(medians[at]!.map((p50, round) => p50 / medians[0]![round]!)),
      aboveUs: median(medians[at]!.map((p50, round) => p50 - medians[0]![round]!)),
    };
  });
}

/** Of numbers in order. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** @returns how long each call took in microseconds. */
async function timed({ call }: Caller, width: number, sampleMs: number): Promise<number[]> {
  const times: number[] = [];
  const endMs = performance.now() + sampleMs;
  const worker = async (): Promise<void> => {
    for (;;) {
      const startedMs = performance.now();
      await call();
      const nowMs = performance.now();
      times.push((nowMs - startedMs) * 1_000);
      if (nowMs > endMs || times.length > MAX_CALLS) return;
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return times;
}
