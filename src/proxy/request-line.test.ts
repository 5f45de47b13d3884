import { describe, expect, it } from "vitest";
import { readHead } from "./request-head.ts";
import { readRequestLine } from "./request-line.ts";

function read(line: string, ...hosts: string[]) {
  const [method, url, version] = line.split(" ") as [string, string, string];
  const fields = readHead({ rawHeaders: hosts.flatMap((host) => ["Host", host]) });
  return readRequestLine({ method, url, httpVersion: version }, fields);
}
const statusOf = (line: string, ...hosts: string[]): number | undefined => {
  const read_ = read(line, ...hosts);
  return "reply" in read_ ? read_.reply.status : undefined;
};

describe("RFC 9112, 3.2: what a request is for", () => {
  it("a path, or a URL of HTTP, whose host then counts", () => {
    expect(read("GET /a?b 1.1", "a")).toEqual({ method: "GET", target: "/a?b", host: "a" });
    expect(read("GET http://b:1/a?b 1.1", "a")).toEqual({ method: "GET", target: "/a?b", host: "b:1" });
    expect(read("GET HTTPS://b?x 1.1", "a")).toEqual({ method: "GET", target: "/?x", host: "b" });
    expect(read("GET /a#b 1.1", "a")).toMatchObject({ target: "/a" });
  });

  it("one Host, which only HTTP/1.0 may leave out", () => {
    expect(statusOf("GET / 1.1")).toBe(400);
    expect(statusOf("GET / 1.1", "a", "a")).toBe(400);
    expect(statusOf("GET / 1.0", "a", "b")).toBe(400);
    expect(statusOf("GET http://a/ 1.1", "a", "a")).toBe(400);
    expect(read("GET / 1.0")).toMatchObject({ host: "localhost" });
  });

  it.each(["GET ftp://a/ 1.1", "GET * 1.1", "GET a/b 1.1", "GET a:80 1.1", "POST ?x 1.1", "GET http:/a 1.1"])(
    "%s is a bad request",
    (line) => expect(statusOf(line, "a")).toBe(400),
  );

  it("OPTIONS * is about the server, and what it does not serve it says with Allow", () => {
    expect(read("OPTIONS * 1.1", "a")).toMatchObject({
      reply: { status: 200, headers: [["Allow", expect.any(String)]] },
    });
    expect(read("TRACE / 1.1", "a")).toMatchObject({
      reply: { status: 405, headers: [["Allow", expect.any(String)]] },
    });
  });
});
