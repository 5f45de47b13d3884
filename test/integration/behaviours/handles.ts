import { ConfigError, DeploymentUnavailableError, serve, UnknownMethodError, type DeploymentHandle } from "heliostat";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { calculator, double, holder, made, triple, type Calculator } from "../../fixtures/calculator.ts";
import { failureOf, quiet, start, type Mode, type Running } from "../harness.ts";

/** Semantics 1, 30, 34; api.md: `.remote`, methods, `.options`, derived handles, handles as values. */
export function describeHandles(mode: Mode): void {
  describe("handles", () => {
    let running: Running<Calculator>;
    let handle: DeploymentHandle<Calculator>;
    beforeAll(async () => {
      running = await start(mode, calculator.bind());
      handle = running.handle;
    });
    afterEach(quiet);
    afterAll(() => running[Symbol.asyncDispose]());

    it("calls `call` by handle.remote()", async () => {
      expect(await handle.remote(2, 3)).toBe(5);
      expect(await handle.remote(2, 3).result()).toBe(5);
    });

    it("calls methods: own, async, inherited, overridden with super, function-valued fields, and private ones", async () => {
      expect(await handle.later.remote(2)).toBe(20);
      expect(await handle.inherited.remote(2)).toBe(3);
      expect(await handle.overridden.remote()).toBe("base and derived");
      expect(await handle.scale.remote(2)).toBe(20);
      expect(await handle.checkHealth.remote()).toBe("well");
      expect(await (handle as unknown as { internal: { remote(): Promise<string> } }).internal.remote()).toBe("hidden");
    });

    it("gives undefined for a method that returns nothing, and tells no arguments from undefined ones", async () => {
      expect(await handle.nothing.remote()).toBeUndefined();
      expect(await handle.count.remote()).toBe(0);
      expect(await handle.count.remote(undefined, null)).toBe(2);
    });

    it("can be awaited several times, and each await gives the same value", async () => {
      const response = handle.identity.remote({ a: [1] });
      const first = await response;
      expect(await response).toBe(first);
      expect(await response.result()).toBe(first);
      expect(await Promise.all([response, response])).toEqual([{ a: [1] }, { a: [1] }]);
    });

    it("encodes arguments at the call: what happens to them later changes nothing", async () => {
      const value = { n: 1, list: [1] };
      const response = handle.identity.remote(value);
      value.n = 2;
      value.list.push(2);
      expect(await response).toEqual({ n: 1, list: [1] });
    });

    it("copies values: the result is never the argument", async () => {
      const value = { n: 1 };
      expect(await handle.identity.remote(value)).not.toBe(value);
    });

    it.each(["missing", "label", "constructor", "toString", "hasOwnProperty", "__proto__", "#hidden", "then"])(
      "rejects a call of %j, which is no method, and lists those that are",
      async (methodName) => {
        const error = await failureOf(handle.options({ methodName: methodName as "call" }).remote(1, 2));
        expect(error).toBeInstanceOf(UnknownMethodError);
        expect(error).toMatchObject({ code: "UNKNOWN_METHOD", retryable: false, method: methodName });
        const { available } = error as UnknownMethodError;
        expect([...available].sort()).toEqual(
          [
            "call",
            "checkHealth",
            "count",
            "handleBack",
            "handles",
            "identity",
            "inherited",
            "internal",
            "later",
            "nothing",
            "overridden",
            "scale",
            "useHandle",
          ].sort(),
        );
        expect(error.message).toContain("scale");
      },
    );

    it("does not throw at .remote() for an unknown method: it is a rejection", async () => {
      const { missing } = handle as unknown as Record<string, { remote(): Promise<unknown> }>;
      expect((await failureOf(missing!.remote())).name).toBe("UnknownMethodError");
    });

    it("is not a thenable: awaiting a handle gives the handle", async () => {
      expect(await handle).toBe(handle);
    });

    it("knows its application and deployment", () => {
      expect([handle.appName, handle.deploymentName]).toEqual(["default", "Calculator"]);
    });

    it("gives the same method object for the same name", () => {
      expect(handle.later).toBe(handle.later);
    });

    it("derives handles: methodName, options of options, options of a method; the first stays as it was", async () => {
      const later = handle.options({ methodName: "later" });
      expect(await later.remote(4)).toBe(40);
      const withTimeout = later.options({ timeoutMs: 5_000 });
      expect(await withTimeout.remote(5)).toBe(50);
      expect(await withTimeout.inherited.remote(5)).toBe(6);
      expect(await handle.later.options({ timeoutMs: 5_000 }).remote(6)).toBe(60);
      expect(await handle.remote(1, 1)).toBe(2);
    });

    it.each([
      [{ methdName: "later" }, "methdName"],
      [{ timeoutMs: 0 }, "timeoutMs"],
      [{ timeoutMs: -1 }, "timeoutMs"],
      [{ timeoutMs: Number.NaN }, "timeoutMs"],
      [{ timeoutMs: "5" }, "timeoutMs"],
      [{ priority: Infinity }, "priority"],
      [{ priority: Number.NaN }, "priority"],
      [{ methodName: "" }, "methodName"],
      [{ stream: "yes" }, "stream"],
      [{ requestSerialization: "yaml" }, "requestSerialization"],
      [{ responseSerialization: "cloudpickle" }, "responseSerialization"],
      [{ signal: {} }, "signal"],
      [{ spinUs: -1 }, "spinUs"],
      [{ sessionId: 5 }, "sessionId"],
      [{ multiplexedModelId: null }, "multiplexedModelId"],
    ])("throws a ConfigError for options(%j)", (options, path) => {
      for (const derive of [() => handle.options(options as object), () => handle.later.options(options as object)]) {
        const error = thrownBy(derive);
        // Of a method, the method's name is no option.
        expect(error).toBeInstanceOf(ConfigError);
        expect(error).toMatchObject({ code: "CONFIG", retryable: false, path });
      }
    });

    it("says which serializations there are, and takes their names in any case", async () => {
      const error = thrownBy(() => handle.options({ requestSerialization: "pickle" as "json" }));
      for (const name of ["structured", "v8", "msgpack", "json"]) expect(error.message).toContain(name);
      for (const name of ["STRUCTURED", "V8", "MsgPack", "Json"]) {
        const other = handle.options({ requestSerialization: name as "json", responseSerialization: name as "json" });
        expect(await other.identity.remote({ a: [1, "x", null] })).toEqual({ a: [1, "x", null] });
      }
    });

    it("refuses methodName on a handle that is one method", () => {
      expect(thrownBy(() => handle.later.options({ methodName: "call" } as object))).toMatchObject({
        path: "methodName",
      });
    });

    it("takes a handle as argument, result and part of a result; application, deployment and options travel", async () => {
      expect(await handle.useHandle.remote(handle, 3)).toBe(30);
      const back = (await handle.handleBack.remote(handle.options({ methodName: "later", timeoutMs: 4_000 }) as never))
        .handle;
      expect([back.appName, back.deploymentName]).toEqual(["default", "Calculator"]);
      expect(await (back as unknown as { remote(x: number): Promise<number> }).remote(7)).toBe(70);
    });

    it("takes handles as stream items", async () => {
      const results: number[] = [];
      for await (const item of handle.options({ stream: true }).handles.remote(handle))
        results.push(await item.later.remote(1));
      expect(results).toEqual([10, 10]);
    });

    it("is found by name: getAppHandle, getDeploymentHandle", async () => {
      expect(await serve.getAppHandle<Calculator>().remote(1, 2)).toBe(3);
      expect(await serve.getAppHandle<Calculator>("default").remote(1, 2)).toBe(3);
      expect(await serve.getDeploymentHandle<Calculator>("Calculator").later.remote(1)).toBe(10);
      expect(await serve.getDeploymentHandle<Calculator>("Calculator", "default").later.remote(1)).toBe(10);
    });

    it("rejects calls to deployments and applications that do not exist", async () => {
      for (const unknown of [
        serve.getDeploymentHandle<Calculator>("Nobody"),
        serve.getDeploymentHandle<Calculator>("Calculator", "nowhere"),
        serve.getAppHandle<Calculator>("nowhere"),
      ]) {
        const error = await failureOf(unknown.remote(1, 2));
        expect(error).toBeInstanceOf(DeploymentUnavailableError);
        expect(error).toMatchObject({ code: "DEPLOYMENT_UNAVAILABLE", retryable: false });
      }
      expect((await failureOf(serve.getDeploymentHandle<Calculator>("Nobody").remote(1, 2))).message).toContain(
        "Nobody",
      );
    });

    it("warns once about useNewHandleApi, on stderr, and does nothing else", async () => {
      const written: string[] = [];
      const stderr = vi.spyOn(process.stderr, "write").mockImplementation((chunk) => written.push(String(chunk)) > 0);
      const warn = vi.spyOn(console, "warn").mockImplementation((...parts) => void written.push(parts.join(" ")));
      const emit = vi.spyOn(process, "emitWarning").mockImplementation((warning) => void written.push(String(warning)));
      try {
        expect(await handle.options({ useNewHandleApi: true }).remote(1, 2)).toBe(3);
        expect(await handle.options({ useNewHandleApi: true }).remote(1, 2)).toBe(3);
      } finally {
        for (const spy of [stderr, warn, emit]) spy.mockRestore();
      }
      expect(written.filter((line) => line.includes("useNewHandleApi"))).toHaveLength(1);
    });
  });

  describe("deployments", () => {
    it("can be a function", async () => {
      await using running = await start(mode, double.bind());
      expect(await running.handle.remote(21)).toBe(42);
      const error = await failureOf(running.handle.options({ methodName: "other" as "call" }).remote(1));
      expect(error).toMatchObject({ code: "UNKNOWN_METHOD", available: ["call"] });
    });

    it("can be an async arrow function with a name", async () => {
      await using running = await start(mode, triple.bind());
      expect(await running.handle.remote(7)).toBe(21);
      expect(running.handle.deploymentName).toBe("triple");
    });

    it("can be made by an async static create", async () => {
      await using running = await start(mode, made.bind("made", "of", "words"));
      expect(await running.handle.remote()).toBe("made of words");
    });

    it("get handles at top level and nested; the same application twice is one deployment", async () => {
      const shared = calculator.bind(2);
      const other = calculator.options({ name: "Other" }).bind(3);
      await using running = await start(mode, holder.bind(shared, { list: [shared, other], note: "n" }), {
        name: "held",
      });
      expect(await running.handle.remote(5)).toEqual([10, [10, 15], "n"]);
      expect(await running.handle.names.remote()).toEqual(["held", "Calculator"]);
      const { applications } = await serve.status();
      expect(Object.keys(applications["held"]!.deployments).sort()).toEqual(["Calculator", "Holder", "Other"]);
    });
  });
}

function thrownBy(fn: () => unknown): Error {
  try {
    fn();
  } catch (error) {
    return error as Error;
  }
  throw new Error("It did not throw.");
}
