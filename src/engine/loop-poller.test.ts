import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { LoopPoller } from "./loop-poller.ts";

const immediates = (): number => process.getActiveResourcesInfo().filter((kind) => kind === "Immediate").length;

test("each turn asks everybody who is left, and nothing remains when nobody is", async () => {
  const poller = new LoopPoller();
  const before = immediates();
  let [a, b] = [2, 4];
  poller.keepAwake(() => --a > 0);
  poller.keepAwake(() => --b > 0);
  expect(immediates() - before).toBe(1);
  await turn();
  expect([a, b]).toEqual([1, 3]);
  await turn();
  await turn();
  expect([a, b]).toEqual([0, 1]);
  expect(poller.isPolling).toBe(true);
  await turn();
  expect([a, b]).toEqual([0, 0]);
  expect(poller.isPolling).toBe(false);
  expect(immediates()).toBe(before);
});

test("whoever comes while the others are asked is asked too", async () => {
  const poller = new LoopPoller();
  let asked = 0;
  poller.keepAwake(() => {
    poller.keepAwake(() => ++asked < 2);
    return false;
  });
  await turn();
  await turn();
  await turn();
  expect(asked).toBe(2);
  expect(poller.isPolling).toBe(false);
});

test("timers and other turns' work are served meanwhile", async () => {
  const poller = new LoopPoller();
  let isDone = false;
  poller.keepAwake(() => !isDone);
  await new Promise((resolve) => setTimeout(resolve, 1));
  isDone = true;
  await turn();
  expect(poller.isPolling).toBe(false);
});
