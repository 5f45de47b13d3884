import { describe, expect, test } from "vitest";
import type { RunOptions } from "../serve-types.ts";
import { resolveRunOptions } from "./run-options.ts";

test("fills in the defaults", () => {
  expect(resolveRunOptions({})).toEqual({
    name: "default",
    routePrefix: "/",
    local: false,
    http: {
      host: "127.0.0.1",
      port: 8000,
      requestTimeoutMs: undefined,
      keepAliveTimeoutMs: 90_000,
      receiveTimeoutMs: 60_000,
      pingIntervalMs: 20_000,
      maxHeaderBytes: 16_384,
      maxBodyBytes: 104_857_600,
      tls: undefined,
      trustProxy: [],
      cors: [],
      workers: 1,
    },
    signal: undefined,
  });
});

test("keeps what is given", () => {
  const { signal } = new AbortController();
  expect(
    resolveRunOptions({ name: "a", routePrefix: null, local: true, signal, http: { port: 0, host: "::1" } }),
  ).toMatchObject({ name: "a", routePrefix: null, local: true, signal, http: { port: 0, host: "::1" } });
});

describe("refuses", () => {
  test.each([
    [{ name: "" }, "name"],
    [{ routePrefix: "x" }, "routePrefix"],
    [{ routePrefix: "/x/" }, "routePrefix"],
    [{ route_prefix: "/" }, "route_prefix"],
    [{ local: 1 }, "local"],
    [{ signal: {} }, "signal"],
    [{ http: { port: -1 } }, "http.port"],
    [{ http: { port: 70_000 } }, "http.port"],
    [{ http: { prot: 1 } }, "http.prot"],
    [{ http: { requestTimeoutMs: 0 } }, "http.requestTimeoutMs"],
    [{ http: { workers: 0 } }, "http.workers"],
    [{ http: { tls: { key: "k" } } }, "http.tls"],
  ])("%j", (options, path) => {
    expect(() => resolveRunOptions(options as RunOptions)).toThrow(expect.objectContaining({ path }));
  });
});

test.each(["10.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "::1", "fd00::/8", "::ffff:10.0.0.1", "2001:db8::1/128"])(
  "http.trustProxy takes %s",
  (network) => {
    expect(resolveRunOptions({ http: { trustProxy: [network] } }).http.trustProxy).toEqual([network]);
  },
);

test.each([
  "",
  "10.0.0",
  "10.0.0.256",
  "10.0.0.0/33",
  "10.0.0.0/",
  "10.0.0.0/8/8",
  "::1/129",
  "proxy.example",
  "1::2::3",
  7,
])("http.trustProxy refuses %j", (network) => {
  expect(() => resolveRunOptions({ http: { trustProxy: ["::1", network as string] } })).toThrow(
    expect.objectContaining({ code: "CONFIG", path: "http.trustProxy[1]" }),
  );
});

test("http.cors takes origins as browsers send them, and nothing else", () => {
  const cors = ["https://shop.example", "http://localhost:5173", "*"];
  expect(resolveRunOptions({ http: { cors } }).http.cors).toEqual(cors);
  for (const wrong of ["shop.example", "https://shop.example/", "https://a/b", "null", "", 1])
    expect(() => resolveRunOptions({ http: { cors: [wrong as string] } })).toThrow(
      expect.objectContaining({ code: "CONFIG", path: "http.cors[0]" }),
    );
});
