import { expect, test } from "vitest";
import { contest, median, type Contender } from "./contest.ts";

test("contenders take turns, and the first is the reference", async () => {
  const order: string[] = [];
  const contender = (name: string): Contender => ({
    name,
    run() {
      if (order.at(-1) !== name) order.push(name);
      return new Promise((resolve) => setTimeout(resolve, 2));
    },
  });
  const rows = await contest([contender("a"), contender("b"), contender("c")], {
    what: "sleep",
    rounds: 3,
    sampleMs: 1,
  });
  // Warming up, then three rounds, each beginning with another one.
  expect(order.join("")).toBe("abc" + "abc" + "bca" + "cab");
  expect(rows.map(({ contender: name }) => name)).toEqual(["a", "b", "c"]);
  expect(rows[0]!.ratio).toBe(1);
});

test("the median of an even number is between the two in the middle", () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([3, 1, 2])).toBe(2);
});
