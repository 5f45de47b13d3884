import { describe, expect, test } from "vitest";
import { ConfigError } from "../errors.ts";
import { defaultHandleOptions, givesNewHandleApi, resolveHandleOptions } from "./handle-options.ts";

test("changes what is given and keeps the rest", () => {
  const first = resolveHandleOptions({ stream: true, timeoutMs: 5, sessionId: "a" });
  expect(first).toEqual({ ...defaultHandleOptions, stream: true, timeoutMs: 5, sessionId: "a" });
  expect(resolveHandleOptions({ stream: false, priority: -1.5 }, first)).toEqual({
    ...first,
    stream: false,
    priority: -1.5,
  });
});

test("takes serialization names in any case", () => {
  const { requestSerialization, responseSerialization } = resolveHandleOptions({
    requestSerialization: "MsgPack",
    responseSerialization: "V8",
  });
  expect([requestSerialization, responseSerialization]).toEqual(["msgpack", "v8"]);
});

test("takes any signal", () => {
  const { signal } = new AbortController();
  expect(resolveHandleOptions({ signal }).signal).toBe(signal);
});

test("takes useNewHandleApi and drops it", () => {
  expect(resolveHandleOptions({ useNewHandleApi: true })).toEqual(defaultHandleOptions);
  expect(givesNewHandleApi({ useNewHandleApi: true })).toBe(true);
  expect(givesNewHandleApi({ stream: true })).toBe(false);
});

describe("refuses", () => {
  test.each([
    ["methodName", 1],
    ["methodName", ""],
    ["multiplexedModelId", 1],
    ["stream", "yes"],
    ["useNewHandleApi", 1],
    ["preferLocalRouting", 0],
    ["byReference", null],
    ["requestSerialization", "cloudpickle"],
    ["responseSerialization", 3],
    ["sessionId", {}],
    ["timeoutMs", 0],
    ["timeoutMs", -1],
    ["timeoutMs", NaN],
    ["timeoutMs", Infinity],
    ["timeoutMs", "5"],
    ["signal", {}],
    ["signal", new AbortController()],
    ["priority", NaN],
    ["priority", Infinity],
    ["spinUs", -1],
    ["stram", true],
  ])("%s: %s", (key, value) => {
    const act = (): unknown => resolveHandleOptions({ [key]: value });
    expect(act).toThrow(ConfigError);
    expect(act).toThrow(expect.objectContaining({ path: key }));
  });

  test("an unknown serialization with the names of all", () => {
    expect(() => resolveHandleOptions({ requestSerialization: "cloudpickle" })).toThrow(
      'requestSerialization must be one of "structured", "v8", "msgpack", "json", not "cloudpickle".',
    );
  });

  test("a misspelt key with the nearest", () => {
    expect(() => resolveHandleOptions({ method_name: "x" })).toThrow('Did you mean "methodName"?');
  });
});
