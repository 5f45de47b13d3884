import { serve, type DeploymentHandle } from "heliostat";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { stores, users, type Stores } from "../fixtures/stores.ts";
import { quiet, start, type Running } from "./harness.ts";

/** Stores that user code keeps in an `AsyncLocalStorage` reach what they were entered for, and nothing else. */
describe.each([
  ["processes", "processes", {}],
  ["threads", "processes", { isolation: "thread" }],
  ["local", "local", {}],
] as const)("stores of users (%s)", (_, mode, options) => {
  let running: Running<Stores>;
  let handle: DeploymentHandle<Stores>;
  let url = "";

  beforeAll(async () => {
    // Whoever runs an application is a caller like any other.
    running = await users.run("of the script", () => start(mode, stores.options(options).bind()));
    handle = running.handle;
    url = (await serve.status()).proxies[0]!.url;
  });
  afterEach(() => quiet());
  afterAll(() => running[Symbol.asyncDispose]());

  const read = async (stream: AsyncIterable<unknown>): Promise<unknown[]> => {
    const items: unknown[] = [];
    for await (const item of stream) items.push(item);
    return items;
  };

  it("do not reach a constructor from the script, nor requests from the constructor", async () => {
    expect(await handle.inConstructor.remote()).toBe("none");
    expect(await handle.enter.remote("a")).toEqual(["none", "a"]);
  });

  it("do not reach one call from another, one after the other or at once", async () => {
    for (const name of ["a", "b"]) expect(await handle.enter.remote(name)).toEqual(["none", name]);
    const names = ["c", "d", "e"];
    const found = await Promise.all(names.map((name) => handle.enter.remote(name)));
    expect(found).toEqual(names.map((name) => ["none", name]));
  });

  it("do not reach a call from its caller, nor from another caller of the same turn", async () => {
    const found = await Promise.all(
      ["x", "y"].map((caller) => users.run(caller, () => handle.enter.remote(caller.toUpperCase()))),
    );
    expect(found).toEqual([
      ["none", "X"],
      ["none", "Y"],
    ]);
  });

  it("stay with the caller over a call", async () => {
    await users.run("x", async () => {
      await handle.enter.remote("of the callee");
      expect(users.getStore()).toBe("x");
      for await (const _item of handle.options({ stream: true }).stream.remote("of the callee"))
        expect(users.getStore()).toBe("x");
      await handle.broadcast("enter", "of the callee");
      expect(users.getStore()).toBe("x");
    });
  });

  it("do not reach one stream from another", async () => {
    const streams = handle.options({ stream: true });
    const ofCaller = (name: string) => users.run(`caller ${name}`, () => read(streams.stream.remote(name)));
    const found = await Promise.all(["a", "b"].map(ofCaller));
    for (const [first] of found) expect(first).toBe("none");
    expect(await handle.enter.remote("c")).toEqual(["none", "c"]);
  });

  it("do not reach one HTTP request or WebSocket from another", async () => {
    for (const path of ["/a", "/b"]) expect(await (await fetch(url + path)).json()).toEqual(["none", path]);
    for (let i = 0; i < 2; i++) {
      const socket = new WebSocket(url.replace("http", "ws"));
      const message = new Promise((resolve) => socket.addEventListener("message", ({ data }) => resolve(data)));
      expect(await message).toBe('["none","of a socket"]');
      socket.close();
    }
  });

  it("do not reach a batch from its callers", async () => {
    expect(await Promise.all([1, 2].map((n) => handle.inBatch.remote(n)))).toEqual(["none", "none"]);
    const streams = handle.options({ stream: true });
    expect(await Promise.all([1, 2].map((n) => read(streams.inBatchedStream.remote(n))))).toEqual([
      ["none", "none"],
      ["none", "none"],
    ]);
  });
});
