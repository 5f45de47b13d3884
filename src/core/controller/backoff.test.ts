import { expect, test } from "vitest";
import { afterFailure, backoffMs, STABLE_AFTER_MS, startAttempts, type RankFailures } from "./backoff.ts";

test("waits 0, then 1, 2, 4 … 64 s, and no longer", () => {
  expect([1, 2, 3, 4, 5, 6, 7, 8, 9, 50].map(backoffMs)).toEqual([
    0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 64_000, 64_000,
  ]);
});

test("failures in a row add up, also of replicas that ran for a moment", () => {
  let failures: RankFailures | undefined;
  for (const ranForMs of [0, 5_000, 0]) failures = afterFailure(failures, ranForMs, 100);
  expect(failures).toEqual({ failures: 3, retryAtMs: 2_100 });
});

test("a replica that ran stably starts the count again", () => {
  const looping = { failures: 7, retryAtMs: 0 };
  expect(afterFailure(looping, STABLE_AFTER_MS, 100)).toEqual({ failures: 1, retryAtMs: 100 });
});

test.each([
  [1, 20, 3],
  [4, 20, 12],
  [10, 20, 20],
  [0, 20, 3],
  [5, 2, 2],
])("%i replicas with a limit of %i may fail to start %i times", (replicas, limit, attempts) => {
  expect(startAttempts(replicas, limit)).toBe(attempts);
});
