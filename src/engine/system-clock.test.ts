import { AsyncLocalStorage } from "node:async_hooks";
import { expect, test } from "vitest";
import { systemClock, wakefulClock } from "./system-clock.ts";

test.each([
  ["a timer", (fn: () => void) => void systemClock.setTimer(1, fn)],
  ["a timer that keeps the process alive", (fn: () => void) => void wakefulClock.setTimer(1, fn)],
  ["a turn", (fn: () => void) => systemClock.nextTurn(fn)],
])("%s belongs to no context, whoever has asked for it", async (_, set) => {
  const users = new AsyncLocalStorage<string>();
  const seen = new Promise((resolve) => {
    users.run("whoever was first", () => {
      set(() => resolve(users.getStore()));
      expect(users.getStore()).toBe("whoever was first");
    });
  });
  expect(await seen).toBeUndefined();
});
