import { expect, test } from "vitest";
import { TestWorkplace } from "../../../test/support/workplace.ts";
import { RoutingStats } from "./routing-stats.ts";

function polled(read: () => unknown, report?: (stats: unknown) => void) {
  const place = new TestWorkplace();
  const reported: unknown[] = [];
  const { clock, log } = place;
  const stats = new RoutingStats({
    clock,
    log,
    periodMs: 1_000,
    timeoutMs: 300,
    read,
    report: report ?? ((given) => void reported.push(given)),
  });
  stats.start();
  return { place, reported, stats };
}

test("asks at once and then every period", async () => {
  let n = 0;
  const { place, reported, stats } = polled(() => ({ n: n++ }));
  await place.settle();
  expect(reported).toEqual([{ n: 0 }]);
  await place.pass(999);
  expect(reported).toHaveLength(1);
  await place.pass(1);
  await place.pass(1_000);
  expect(reported).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }]);
  stats.stop();
  expect(place.clock.pendingTimers).toBe(0);
  await place.pass(5_000);
  expect(reported).toHaveLength(3);
});

test("an answer that takes too long is left out, also when it comes later", async () => {
  const answers: ((stats: unknown) => void)[] = [];
  const { place, reported } = polled(() => new Promise((resolve) => void answers.push(resolve)));
  await place.pass(300);
  expect(place.warnings).toEqual([expect.stringContaining("300 ms")]);
  await place.pass(700);
  answers[0]!({ n: 0 });
  answers[1]!({ n: 1 });
  await place.settle();
  expect(reported).toEqual([{ n: 1 }]);
});

test.each([
  ["throws", () => Promise.reject(new Error("no stats"))],
  [
    "throws at once",
    () => {
      throw new Error("no stats");
    },
  ],
  ["gives no object", () => 7],
  ["gives an array", () => [7]],
  ["gives nothing", () => undefined],
])("one that %s is told, and asked again", async (_what, fails) => {
  let n = 0;
  const { place, reported } = polled(() => (n++ === 0 ? fails() : { n }));
  await place.settle();
  expect(reported).toEqual([]);
  expect(place.warnings).toHaveLength(1);
  await place.pass(1_000);
  expect(reported).toEqual([{ n: 2 }]);
});

test("stats that cannot travel are told, and asked for again", async () => {
  let n = 0;
  const { place } = polled(
    () => ({ n: n++ }),
    () => {
      throw new Error("a function at stats.f");
    },
  );
  await place.settle();
  await place.pass(1_000);
  expect(place.warnings).toEqual([expect.stringContaining("stats.f"), expect.stringContaining("stats.f")]);
  expect(n).toBe(2);
});
