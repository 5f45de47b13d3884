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
      maxHeaderBytes: 16_384,
      maxBodyBytes: 104_857_600,
      tls: undefined,
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
