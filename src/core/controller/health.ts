import type { ResolvedOptions } from "../deployment/options.ts";

/** So many missed checks in a row mean that the replica is replaced. */
export const MAX_MISSES = 3;

/** Where the health checks of one replica stand. */
export type Health =
  | { readonly kind: "resting"; readonly checks: number; readonly misses: number; readonly checkAtMs: number }
  | {
      readonly kind: "checking";
      readonly checks: number;
      readonly misses: number;
      readonly sentAtMs: number;
      readonly missAtMs: number;
    };

type HealthOptions = Pick<ResolvedOptions, "healthCheckPeriodMs" | "healthCheckTimeoutMs">;

/** The health of a replica that has just become ready, which includes a first check. */
export function newHealth(options: HealthOptions, nowMs: number): Health {
  return { kind: "resting", checks: 0, misses: 0, checkAtMs: nowMs + options.healthCheckPeriodMs };
}

/** A check goes out; its id is the new `checks`. */
export function checkSent(health: Health, options: HealthOptions, nowMs: number): Health {
  return {
    kind: "checking",
    checks: health.checks + 1,
    misses: health.misses,
    sentAtMs: nowMs,
    missAtMs: nowMs + options.healthCheckTimeoutMs,
  };
}

/**
 * An answer has come, perhaps to a check that was already missed.
 *
 * A late good answer proves that the replica is alive, so it clears the misses; a late bad one has been counted.
 */
export function checkAnswered(health: Health, answer: { id: number; failed: boolean }, options: HealthOptions): Health {
  const late = health.kind === "resting" || answer.id !== health.checks;
  if (late) return answer.failed ? health : { ...health, misses: 0 };
  return {
    kind: "resting",
    checks: health.checks,
    misses: answer.failed ? health.misses + 1 : 0,
    checkAtMs: health.sentAtMs + options.healthCheckPeriodMs,
  };
}

/**
 * The check that is out counts as missed if its time is up; the next one goes at once.
 *
 * So a replica whose event loop is blocked is given up no earlier than three timeouts after the first check it missed.
 */
export function checkOverdue(health: Health, nowMs: number): Health {
  if (health.kind === "resting" || health.missAtMs > nowMs) return health;
  return { kind: "resting", checks: health.checks, misses: health.misses + 1, checkAtMs: nowMs };
}
