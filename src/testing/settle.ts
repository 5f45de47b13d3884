import type { Clock } from "../core/contracts/clock.ts";
import type { ManualClock } from "./manual-clock.ts";

/** Turns of the event loop in a row in which nothing happens before it counts as quiet. */
const QUIET_TURNS = 2;
/** Something that goes on for so many turns goes on for ever. */
const MAX_TURNS = 100_000;
/** How long real work, such as reading a file, is given before virtual time goes on. */
const PAUSE_MS = 10;

/**
 * Lets everything that is on its way arrive, without letting time pass: promise jobs, connections in memory, and what
 * waits for the next turn of `clock`.
 *
 * What waits for the world outside, such as a file or a real timer, is not waited for.
 */
export async function settle(clock?: ManualClock): Promise<void> {
  let quiet = 0;
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    clock?.turn();
    await nextTurn();
    // Everything in memory moves by immediates: while one is pending, something is on its way.
    const isMoving = clock?.hasTurn === true || process.getActiveResourcesInfo().includes("Immediate");
    quiet = isMoving ? 0 : quiet + 1;
    if (quiet === QUIET_TURNS) return;
  }
  throw new Error(`The process was not quiet after ${MAX_TURNS} turns: something calls setImmediate again and again.`);
}

/** Lets `ms` pass on `clock`; after each timer everything that it has set off arrives before the next one fires. */
export async function advance(clock: ManualClock, ms: number): Promise<void> {
  const endMs = clock.now() + ms;
  await settle(clock);
  while (clock.nextTimerMs <= endMs) {
    clock.advance(clock.nextTimerMs - clock.now());
    await settle(clock);
  }
  clock.advance(endMs - clock.now());
  await settle(clock);
}

/**
 * The same time, but turns end by themselves: what is awaited must arrive although no test ends a turn, as long as it
 * needs no time.
 */
export function withRealTurns(clock: ManualClock): Clock {
  return {
    now: () => clock.now(),
    wallNow: () => clock.wallNow(),
    setTimer: (delayMs, fn) => clock.setTimer(delayMs, fn),
    random: () => clock.random(),
    nextTurn(fn) {
      clock.nextTurn(fn);
      setImmediate(() => clock.turn());
    },
  };
}

/**
 * Waits for `work`, which goes on by virtual time: where nothing happens any more without time passing, it passes up to
 * the next timer.
 */
export async function drive<T>(work: Promise<T>, clock: ManualClock): Promise<T> {
  let isDone = false;
  const done = (): void => {
    isDone = true;
  };
  work.then(done, done);
  for (;;) {
    await settle(clock);
    if (isDone) return work;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    await settle(clock);
    if (!isDone && clock.nextTimerMs !== Infinity) clock.advance(clock.nextTimerMs - clock.now());
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
