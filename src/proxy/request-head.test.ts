import { expect, it } from "vitest";
import { readHead } from "./request-head.ts";

const read = (...rawHeaders: string[]) => readHead({ rawHeaders });

it("H4: gives header fields on as they were sent, several of one name as several", () => {
  const { headers } = read("Host", "a:1", "X-Twice", "1", "x-twice", "2", "X-Request-ID", "me");
  expect(headers).toEqual([
    ["Host", "a:1"],
    ["X-Twice", "1"],
    ["x-twice", "2"],
    ["x-request-id", "me"],
  ]);
});

it("H6: a visible id of up to 128 characters is kept, anything else is replaced", () => {
  expect(read("X-Request-Id", "x".repeat(128)).requestId).toBe("x".repeat(128));
  for (const bad of ["", "x".repeat(129), "with space", "caf\u00e9", "tab\there"]) {
    const { requestId, headers } = read("x-request-id", bad);
    expect(requestId).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    expect(headers).toEqual([["x-request-id", requestId]]);
  }
});

it("H10: session and model, whatever case and dashes they are written with", () => {
  expect(read("X-Session-ID", "s", "SERVE_multiplexed-model_ID", "m")).toMatchObject({
    sessionId: "s",
    multiplexedModelId: "m",
  });
});

it("H8: seconds with fractions; none for 0 and less; ignored if it is no number", () => {
  const timeout = (value: string) => read("x-request-timeout-seconds", value).timeoutMs;
  expect(["1.5", "0", "-3", "soon", "", " 2 "].map(timeout)).toEqual([
    1_500,
    Infinity,
    Infinity,
    undefined,
    undefined,
    2_000,
  ]);
  expect(read("X-Request-Disconnect-Disabled", "?1").staysAfterDisconnect).toBe(true);
  expect(read("x-request-disconnect-disabled", "?0").staysAfterDisconnect).toBe(false);
});

it("what is said of the client by others is kept apart, and of the framing only what counts", () => {
  const fields = read(
    ...["Host", "a", "X-Forwarded-For", "1.1.1.1", "x-forwarded-for", "2.2.2.2, 3.3.3.3", "X-Forwarded-Proto", "https"],
    ...["X-Forwarded-Host", "shop.example", "X-Forwarded-Prefix", "/shop", "Origin", "https://a.example"],
    ...["Transfer-Encoding", "chunked", "X-Request-ID", "me"],
  );
  expect(fields).toMatchObject({
    hosts: 1,
    host: "a",
    origin: "https://a.example",
    isChunked: true,
    hasBody: true,
    forwarded: { for: "1.1.1.1, 2.2.2.2, 3.3.3.3", proto: "https", host: "shop.example", prefix: "/shop" },
  });
  expect(fields.headers.map(([name]) => name)).toEqual(["Host", "Origin", "Transfer-Encoding", "x-request-id"]);
  expect(read("Host", "a", "host", "b")).toMatchObject({ hosts: 2, host: "a", forwarded: undefined });
});
