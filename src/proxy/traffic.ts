/** Upper bounds of the latency histogram, in milliseconds: from a small answer to a long stream. */
export const LATENCY_BOUNDS_MS: readonly number[] = [
  1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000,
];

/** What a proxy has answered for one application; plain numbers, read when somebody asks. */
export interface AppTraffic {
  readonly app: string;
  /** By status. A client that left is 499. */
  readonly byStatus: Readonly<Record<string, number>>;
  /** Requests within each bound of `LATENCY_BOUNDS_MS`, and one more for the rest; not cumulative. */
  readonly latency: readonly number[];
  readonly latencySumMs: number;
}

interface Counters {
  readonly byStatus: Map<number, number>;
  readonly latency: number[];
  sumMs: number;
}

/** Counts what a proxy answers. */
export class Traffic {
  readonly #apps = new Map<string, Counters>();

  /** @param app "" where no application was found. */
  record(app: string, status: number, durationMs: number): void {
    let counters = this.#apps.get(app);
    if (counters === undefined) {
      counters = { byStatus: new Map(), latency: Array(LATENCY_BOUNDS_MS.length + 1).fill(0) as number[], sumMs: 0 };
      this.#apps.set(app, counters);
    }
    counters.byStatus.set(status, (counters.byStatus.get(status) ?? 0) + 1);
    let at = 0;
    while (at < LATENCY_BOUNDS_MS.length && durationMs > LATENCY_BOUNDS_MS[at]!) at++;
    counters.latency[at]!++;
    counters.sumMs += durationMs;
  }

  snapshot(): AppTraffic[] {
    return [...this.#apps].map(([app, { byStatus, latency, sumMs }]) => ({
      app,
      byStatus: Object.fromEntries(byStatus),
      latency: [...latency],
      latencySumMs: sumMs,
    }));
  }
}
