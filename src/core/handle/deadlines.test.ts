import { expect, test } from "vitest";
import { ManualClock } from "../../testing/manual-clock.ts";
import { type DeadlineEntry, Deadlines, type Expiring } from "./deadlines.ts";

const TICK_MS = 4;

class Work implements Expiring {
  readonly deadlineMs: number;
  readonly expiredAtMs: number[] = [];
  readonly #clock: ManualClock;
  readonly #onExpire: () => void;

  constructor(clock: ManualClock, deadlineMs: number, onExpire: () => void = () => {}) {
    this.#clock = clock;
    this.deadlineMs = deadlineMs;
    this.#onExpire = onExpire;
  }

  expire(): void {
    this.expiredAtMs.push(this.#clock.now());
    this.#onExpire();
  }
}

test("work expires once, never early, at most a tick late", () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  const works = [1, 3.5, 4, 4.1, 8, 100, 5, 5].map((inMs) => new Work(clock, clock.now() + inMs));
  for (const work of works) deadlines.add(work);
  expect(deadlines.count).toBe(works.length);
  expect(clock.pendingTimers).toBe(1);
  clock.advance(1_000);
  for (const { deadlineMs, expiredAtMs } of works) {
    expect(expiredAtMs).toHaveLength(1);
    expect(expiredAtMs[0]).toBeGreaterThanOrEqual(deadlineMs);
    expect(expiredAtMs[0]).toBeLessThanOrEqual(deadlineMs + TICK_MS);
  }
  expect(deadlines.count).toBe(0);
  expect(clock.pendingTimers).toBe(0);
});

test("work that ended in time does not expire, and leaves nothing", () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  const works = Array.from({ length: 6 }, () => new Work(clock, clock.now() + 10));
  const entries = works.map((work) => deadlines.add(work));
  for (const i of [0, 5, 2]) deadlines.remove(entries[i]!);
  deadlines.remove(entries[2]!);
  expect(deadlines.count).toBe(3);
  clock.advance(20);
  expect(works.map(({ expiredAtMs }) => expiredAtMs.length)).toEqual([0, 1, 0, 1, 1, 0]);
  for (const entry of entries) deadlines.remove(entry);
  expect(deadlines.count).toBe(0);
  const last = deadlines.add(new Work(clock, clock.now() + 10));
  deadlines.remove(last);
  expect(clock.pendingTimers).toBe(0);
});

test("a deadline in the past is over at the next opportunity, not at once", () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  const work = new Work(clock, clock.now() - 50);
  deadlines.add(work);
  expect(work.expiredAtMs).toEqual([]);
  clock.advance(0);
  expect(work.expiredAtMs).toHaveLength(1);
});

test("what expires may end other work of its tick, and begin more", () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  const atMs = clock.now() + 10;
  const entries: DeadlineEntry[] = [];
  let ended = 0;
  const later = new Work(clock, atMs + 40);
  const works = Array.from(
    { length: 4 },
    () =>
      new Work(clock, atMs, () => {
        ended++;
        for (const entry of entries) deadlines.remove(entry);
        if (ended === 1) deadlines.add(later);
      }),
  );
  for (const work of works) entries.push(deadlines.add(work));
  clock.advance(20);
  expect(ended).toBe(1);
  expect(deadlines.count).toBe(1);
  clock.advance(40);
  expect(later.expiredAtMs).toHaveLength(1);
  expect(clock.pendingTimers).toBe(0);
});

test("a deadline further away than a timer can be is kept by several", () => {
  const clock = new ManualClock();
  const delays: number[] = [];
  const setTimer = clock.setTimer.bind(clock);
  clock.setTimer = (delayMs, fn) => {
    delays.push(delayMs);
    return setTimer(delayMs, fn);
  };
  const deadlines = new Deadlines(clock);
  const work = new Work(clock, clock.now() + 5e9);
  deadlines.add(work);
  clock.advance(4.9e9);
  expect(work.expiredAtMs).toEqual([]);
  clock.advance(1.1e8);
  expect(work.expiredAtMs).toHaveLength(1);
  expect(Math.max(...delays)).toBeLessThan(2 ** 31);
  expect(delays).toHaveLength(3);
});

test("as a list that is searched whenever time passes", () => {
  for (let seed = 1; seed <= 30; seed++) {
    const clock = new ManualClock({ seed });
    const deadlines = new Deadlines(clock);
    const pending: { work: Work; entry: DeadlineEntry; removed: boolean }[] = [];
    const random = (below: number): number => Math.floor(clock.random() * below);
    for (let step = 0; step < 200; step++) {
      const kind = random(10);
      if (kind < 5) {
        const work = new Work(clock, clock.now() + random(200) / 3);
        pending.push({ work, entry: deadlines.add(work), removed: false });
      } else if (kind < 8 && pending.length > 0) {
        const one = pending[random(pending.length)]!;
        deadlines.remove(one.entry);
        if (one.work.expiredAtMs.length === 0) one.removed = true;
      } else {
        clock.advance(random(120) / 7);
      }
      const nowMs = clock.now();
      const wrong: string[] = [];
      let open = 0;
      for (const { work, removed } of pending) {
        const { deadlineMs, expiredAtMs } = work;
        const times = expiredAtMs.length;
        if (times > 1 || (removed && times > 0)) wrong.push(`${deadlineMs} expired ${times} times`);
        else if (!removed && deadlineMs + TICK_MS < nowMs && times === 0)
          wrong.push(`${deadlineMs} has not expired at ${nowMs}`);
        else if (times > 0 && expiredAtMs[0]! < deadlineMs)
          wrong.push(`${deadlineMs} expired early, at ${expiredAtMs[0]!}`);
        if (!removed && expiredAtMs.length === 0) open++;
      }
      expect([seed, wrong, deadlines.count, clock.pendingTimers]).toEqual([seed, [], open, open === 0 ? 0 : 1]);
    }
  }
});
