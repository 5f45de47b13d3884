import { describe, expect, it } from "vitest";
import { responseFields } from "./response-fields.ts";

interface About {
  readonly method?: string;
  readonly status?: number;
  readonly bodyBytes?: number;
}
const fields = (
  headers: readonly (readonly [string, string])[],
  { method = "GET", status = 200, bodyBytes }: About = {},
): string[] => responseFields({ status, statusText: "", headers }, { method, bodyBytes });

describe("H7: framing is the proxy's", () => {
  it("whatever case a name has, what frames a message is not the application's to say", () => {
    const framing = [
      "Connection",
      "KEEP-ALIVE",
      "Proxy-Connection",
      "Trailer",
      "Transfer-Encoding",
      "upgrade",
      "X-REQUEST-ID",
    ];
    expect(fields([...framing.map((name) => [name, "x"] as const), ["X-Mine", "1"]])).toEqual(["X-Mine", "1"]);
  });

  it("the length of a body that is known is told, and no other, behind all other fields", () => {
    expect(
      fields(
        [
          ["content-Length", "3"],
          ["a", "1"],
        ],
        { bodyBytes: 11 },
      ),
    ).toEqual(["a", "1", "Content-Length", "11"]);
    expect(fields([], { bodyBytes: 0 })).toEqual(["Content-Length", "0"]);
  });

  it("of a body that is not known, or is not sent, a length is told only if it is one", () => {
    const length = (value: string, about?: About) => fields([["Content-Length", value]], about);
    expect(length("12")).toEqual(["Content-Length", "12"]);
    expect(length("12", { method: "HEAD", bodyBytes: 0 })).toEqual(["Content-Length", "12"]);
    for (const wrong of ["-1", "1e3", "0x10", "", " ", "1,2", "12.0", "9".repeat(16)])
      expect(length(wrong)).toEqual([]);
    expect(
      fields([
        ["content-length", "1"],
        ["Content-Length", "2"],
      ]),
    ).toEqual([]);
    expect(
      fields([
        ["content-length", "2"],
        ["Content-Length", "2"],
      ]),
    ).toEqual(["Content-Length", "2"]);
  });

  it.each([204, 205, 304])("%i has none at all", (status) => {
    expect(fields([["content-length", "5"]], { status, bodyBytes: 0 })).toEqual([]);
    expect(fields([["content-length", "5"]], { status, method: "HEAD" })).toEqual([]);
  });
});
