import fc from "fast-check";
import { expect, it } from "vitest";
import { RouteTable, type Route } from "./route-table.ts";

const route = (prefix: string, app = prefix): Route => ({ app, prefix, backpressure: {} });
const table = (...prefixes: string[]): RouteTable => new RouteTable(prefixes.map((prefix) => route(prefix)));
const match = (routes: RouteTable, path: string): [string, string] | undefined => {
  const found = routes.match(path);
  return found && [found.route.prefix, found.path];
};

it("H3: the longest prefix that matches whole segments wins", () => {
  const routes = table("/", "/a", "/a/b");
  expect(match(routes, "/a")).toEqual(["/a", "/"]);
  expect(match(routes, "/a/")).toEqual(["/a", "/"]);
  expect(match(routes, "/a/c")).toEqual(["/a", "/c"]);
  expect(match(routes, "/ab")).toEqual(["/", "/ab"]);
  expect(match(routes, "/a/b/c")).toEqual(["/a/b", "/c"]);
  expect(match(routes, "/")).toEqual(["/", "/"]);
  expect(match(table("/a"), "/ab")).toBeUndefined();
  expect(match(table("/a"), "/")).toBeUndefined();
  expect(match(table("/"), "/x/y")).toEqual(["/", "/x/y"]);
  expect(match(RouteTable.empty, "/")).toBeUndefined();
});

it("finds what comparing with every prefix finds", () => {
  const path = fc.array(fc.constantFrom("a", "b", "ab", ""), { maxLength: 4 }).map((parts) => `/${parts.join("/")}`);
  const prefix = path.filter((text) => text === "/" || !text.endsWith("/"));
  fc.assert(
    fc.property(fc.uniqueArray(prefix), path, (prefixes, asked) => {
      const best = prefixes
        .filter((each) => each === "/" || asked === each || asked.startsWith(`${each}/`))
        .toSorted((a, b) => b.length - a.length)[0];
      const expected = best && [best, best === "/" ? asked : asked.slice(best.length) || "/"];
      expect(match(table(...prefixes), asked)).toEqual(expected);
    }),
  );
});

it("a refusal is looked up in the application first", () => {
  const of = (statusCode: number) => ({ Model: { statusCode } });
  const routes = new RouteTable([
    { app: "one", prefix: "/one", backpressure: of(429) },
    { app: "two", prefix: "/two", backpressure: of(503) },
    { app: "three", prefix: "/three", backpressure: {} },
  ]);
  expect(routes.refusalOf("two", "Model")).toEqual({ statusCode: 503 });
  expect(routes.refusalOf("three", "Model")).toEqual({ statusCode: 429 });
  expect(routes.refusalOf("one", "Other")).toBeUndefined();
});

it("shows prefixes in their order", () => {
  expect(JSON.stringify(table("/b", "/", "/a"))).toBe('{"/":"/","/a":"/a","/b":"/b"}');
});
