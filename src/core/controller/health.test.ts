import { expect, test } from "vitest";
import { checkAnswered, checkOverdue, checkSent, MAX_MISSES, newHealth, type Health } from "./health.ts";

const options = { healthCheckPeriodMs: 10_000, healthCheckTimeoutMs: 30_000 };

test("the first check is one period after the replica is ready", () => {
  expect(newHealth(options, 500)).toMatchObject({ kind: "resting", checkAtMs: 10_500, misses: 0 });
});

test("a good answer clears the misses and the next check is one period after the last", () => {
  const out = checkSent({ kind: "resting", checks: 4, misses: 2, checkAtMs: 0 }, options, 1_000);
  expect(checkAnswered(out, { id: 5, failed: false }, options)).toEqual({
    kind: "resting",
    checks: 5,
    misses: 0,
    checkAtMs: 11_000,
  });
});

test("a check that throws counts as missed", () => {
  const out = checkSent(newHealth(options, 0), options, 10_000);
  expect(checkAnswered(out, { id: 1, failed: true }, options).misses).toBe(1);
});

test("a blocked event loop is given up after three timeouts and no earlier", () => {
  let health: Health = newHealth(options, 0);
  const blockedAtMs = health.kind === "resting" ? health.checkAtMs : NaN;
  let nowMs = blockedAtMs;
  while (health.misses < MAX_MISSES) {
    health = health.kind === "resting" ? checkSent(health, options, nowMs) : checkOverdue(health, ++nowMs);
  }
  expect(nowMs - blockedAtMs).toBe(3 * options.healthCheckTimeoutMs);
});

test("a late good answer proves life; a late bad one is not counted twice", () => {
  const first = checkSent(newHealth(options, 0), options, 10_000);
  const second = checkSent(checkOverdue(first, 40_000), options, 40_000);
  expect(second.misses).toBe(1);
  expect(checkAnswered(second, { id: 1, failed: false }, options)).toEqual({ ...second, misses: 0 });
  expect(checkAnswered(second, { id: 1, failed: true }, options)).toEqual(second);
});
