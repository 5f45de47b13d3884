import { processTimeNs } from "./process-time.ts";

/** One way to do the work that is measured. */
export interface Contender {
  readonly name: string;
  /** Does the work `count` times. @returns how many milliseconds it took, if a process of its own has measured that. */
  run(count: number): Promise<number | void>;
  /** The processes on the other side, whose time is added up. */
  readonly peers?: readonly number[];
}

/** What one contender has shown. Rates are per second, times in microseconds for one piece of work. */
export interface Row {
  readonly what: string;
  readonly contender: string;
  readonly best: number;
  readonly median: number;
  /** Median over the rounds of this contender's rate through that of the first one in the same round. */
  readonly ratio: number;
  readonly callerUs: number;
  readonly peerUs: number;
}

export interface ContestOptions {
  readonly what: string;
  readonly rounds: number;
  /** Of one sample. */
  readonly sampleMs: number;
  /** @default 300 */
  readonly warmUpMs?: number;
}

interface Sample {
  readonly rate: number;
  readonly callerUs: number;
  readonly peerUs: number;
}

const WARM_UP_MS = 300;

/**
 * Lets contenders work in turns, so that whatever else the machine does meets all of them alike.
 *
 * The first contender is the reference: ratios are taken within a round, where both had the same machine. Each round
 * begins with another contender.
 */
export async function contest(contenders: readonly Contender[], options: ContestOptions): Promise<Row[]> {
  const counts: number[] = [];
  for (const contender of contenders) counts.push(await countFor(contender, options));
  const samples: Sample[][] = contenders.map(() => []);
  for (let round = 0; round < options.rounds; round++) {
    for (let i = 0; i < contenders.length; i++) {
      const at = (round + i) % contenders.length;
      samples[at]!.push(await sample(contenders[at]!, counts[at]!));
    }
  }
  return contenders.map(({ name }, at) => {
    const own = samples[at]!;
    return {
      what: options.what,
      contender: name,
      best: Math.max(...own.map(({ rate }) => rate)),
      median: median(own.map(({ rate }) => rate)),
      ratio: median(own.map(({ rate }, round) => rate / samples[0]![round]!.rate)),
      callerUs: Math.min(...own.map(({ callerUs }) => callerUs)),
      peerUs: Math.min(...own.map(({ peerUs }) => peerUs)),
    };
  });
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** How much work fills a sample. Finding out warms it up: code that is not optimised yet must not be measured. */
async function countFor(contender: Contender, { sampleMs, warmUpMs = WARM_UP_MS }: ContestOptions): Promise<number> {
  const endMs = performance.now() + Math.max(warmUpMs, sampleMs);
  for (let count = 1; ;) {
    const startedMs = performance.now();
    const measuredMs = await contender.run(count);
    const nowMs = performance.now();
    const tookMs = measuredMs ?? nowMs - startedMs;
    if (nowMs >= endMs && tookMs > sampleMs / 4) return Math.max(1, Math.round((count * sampleMs) / tookMs));
    if (tookMs < sampleMs / 2) count *= 2;
  }
}

async function sample(contender: Contender, count: number): Promise<Sample> {
  // A collection that another contender has earned is not to be paid here.
  globalThis.gc?.({ type: "minor" });
  const peers = contender.peers ?? [];
  const peersTime = (): number => peers.reduce((sum, pid) => sum + processTimeNs(pid), 0);
  const callerNs = processTimeNs(process.pid);
  const peersNs = peersTime();
  const startedMs = performance.now();
  const measuredMs = await contender.run(count);
  const tookMs = measuredMs ?? performance.now() - startedMs;
  return {
    rate: (count / tookMs) * 1_000,
    callerUs: (processTimeNs(process.pid) - callerNs) / 1_000 / count,
    peerUs: (peersTime() - peersNs) / 1_000 / count,
  };
}
