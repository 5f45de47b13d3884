import { expect, test } from "vitest";
import { Traffic } from "../../proxy/traffic.ts";
import { summedTraffic } from "./summed-traffic.ts";

test("the sum of several proxies is what one would have counted", () => {
  const [one, a, b, c] = [new Traffic(), new Traffic(), new Traffic(), new Traffic()];
  const requests = [
    ["shop", 200, 1],
    ["shop", 200, 70_000],
    ["shop", 503, 3],
    ["", 404, 0],
    ["desk", 200, 9],
    ["shop", 408, 1_000],
  ] as const;
  requests.forEach(([app, status, durationMs], i) => {
    one.record(app, status, durationMs);
    [a, b][i % 2]!.record(app, status, durationMs);
  });
  const byApp = (all: ReturnType<Traffic["snapshot"]>) => all.toSorted((x, y) => (x.app < y.app ? -1 : 1));
  expect(byApp(summedTraffic([a.snapshot(), b.snapshot(), c.snapshot()]))).toEqual(byApp(one.snapshot()));
  expect(summedTraffic([])).toEqual([]);
});
