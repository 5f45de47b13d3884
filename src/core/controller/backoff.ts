/** The longest wait between two attempts to start a replica. */
export const MAX_BACKOFF_MS = 64_000;

/** A replica that ran for so long has no crash loop behind it: its end counts as the first failure. */
export const STABLE_AFTER_MS = MAX_BACKOFF_MS;

/** How often one rank has failed in a row, and when its next replica may start. */
export interface RankFailures {
  readonly failures: number;
  readonly retryAtMs: number;
}

/**
 * How long to wait after so many failures of one rank in a row: 0, then 1, 2, 4 … 64 s.
 *
 * The first failure is made good at once, because most crashes are single and the deployment lacks a replica
 * meanwhile; from the second on it is a loop.
 */
export function backoffMs(failures: number): number {
  if (failures <= 1) return 0;
  return Math.min(MAX_BACKOFF_MS, 1_000 * 2 ** (failures - 2));
}

/** Adds a failure; `ranForMs` is how long the replica had been running, 0 if it never was. */
export function afterFailure(before: RankFailures | undefined, ranForMs: number, nowMs: number): RankFailures {
  const failures = ranForMs >= STABLE_AFTER_MS ? 1 : (before?.failures ?? 0) + 1;
  return { failures, retryAtMs: nowMs + backoffMs(failures) };
}

/**
 * How many starts may fail before a version that never ran is given up.
 *
 * There is no back-off among them: nothing shows yet that waiting would help, and whoever called `serve.run` waits for
 * the reason.
 */
export function startAttempts(replicas: number, maxConstructorRetryCount: number): number {
  return Math.min(3 * Math.max(1, replicas), maxConstructorRetryCount);
}
