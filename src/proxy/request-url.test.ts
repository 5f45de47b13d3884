import fc from "fast-check";
import { expect, it } from "vitest";
import { requestUrl } from "./request-url.ts";

it("a host is a name or an address with a port, and nothing that would change the rest of a URL", () => {
  const url = (host: string) => requestUrl("http", host, "/");
  expect(["localhost", "a.example:81", "[::1]:8000", "127.0.0.1"].map(url)).toEqual([
    "http://localhost/",
    "http://a.example:81/",
    "http://[::1]:8000/",
    "http://127.0.0.1/",
  ]);
  const wrong = ["", "a/b", "a@b", "a b", "a:b", "[::1", "a?b", "a#b", "a\\b", "a:99999"];
  expect(wrong.map(url)).toEqual(wrong.map(() => undefined));
});

it("a URL is written as a parser writes it, whatever stands in the request", () => {
  const target = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          "/",
          ".",
          "..",
          "%2e",
          "%2E",
          "%2f",
          "%",
          "?",
          "'",
          "\\",
          "//",
          "a",
          "é",
          "[",
          "|",
          "{",
          '"',
          "@",
          ":",
        ),
        fc.string({ maxLength: 3 }).filter((text) => !/[#\s\0]/.test(text)),
      ),
      { maxLength: 12 },
    )
    .map((parts) => `/${parts.join("")}`);
  const host = fc.constantFrom("localhost", "LOCALHOST:80", "a.example:8080", "[::1]:1", "127.1", "xn--e1afmkfd");
  fc.assert(
    fc.property(host, target, fc.constantFrom("http" as const, "https" as const), (name, path, scheme) => {
      expect(requestUrl(scheme, name, path)).toBe(URL.parse(`${scheme}://${name}${path}`)?.href);
    }),
    { numRuns: 2_000 },
  );
});
