import { readFileSync } from "node:fs";
import { join } from "node:path";
import { serve, type Application } from "heliostat";
import { describe, expect, it } from "vitest";
import { anyName, appWithMore, behindProxy, created, guarded, namedOne, old, prices } from "../fixtures/classes.ts";
import { TemporaryFolder } from "../support/command.ts";
import { start, type Running } from "./harness.ts";

const ways = [
  ["processes", "processes", {}],
  ["threads", "processes", { isolation: "thread" }],
  ["local", "local", {}],
] as const;

/** A class is what it looks like, wherever it runs. */
describe.each(ways)("classes (%s)", (_, mode, options) => {
  const run = async <T>(app: Application<T>): Promise<Running<T> & { readonly url: string }> => {
    const running = await start(mode, app);
    return Object.assign(running, { url: (await serve.status()).proxies[0]?.url ?? "" });
  };

  const said = async (url: string, message: string): Promise<unknown> => {
    const socket = new WebSocket(url.replace("http", "ws"));
    const answer = new Promise((resolve) => socket.addEventListener("message", ({ data }) => resolve(data)));
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    socket.send(message);
    try {
      return await answer;
    } finally {
      socket.close();
    }
  };

  it("that extends an ingress keeps all that it has: unary, streams, HTTP, WebSockets", async () => {
    await using running = await run(guarded.options(options).bind("t"));
    const { handle, url } = running;
    expect(await handle.remote()).toMatchObject({ config: "given", token: "t", greeting: "hello" });
    expect((await handle.remote()).events).toContain("checked");
    const letters: string[] = [];
    for await (const letter of handle.options({ stream: true }).letters.remote()) letters.push(letter);
    expect(letters.join("")).toBe("hello");
    const answer = await fetch(url);
    expect([answer.status, await answer.text()]).toEqual([401, "no"]);
    expect(await (await fetch(url, { headers: { authorization: "t" } })).text()).toBe("secret");
    expect(await said(url, "you")).toBe("hello you");
  });

  it("that extends an ingress of a function, with a create of its own", async () => {
    await using running = await run(created.options(options).bind(prices.options(options).bind()));
    expect(await running.handle.remote()).toBe("3");
    expect(await (await fetch(running.url)).text()).toBe("21");
  });

  it("of an app that has more than fetch", async () => {
    using folder = new TemporaryFolder();
    const path = join(folder.path, "end");
    {
      await using running = await run(appWithMore.options({ ...options, userConfig: path }).bind());
      const answer = (await (await fetch(running.url)).json()) as { config: string; events: string[] };
      expect(answer.config).toBe(path);
      expect(answer.events).toContain("app checked");
      expect(await said(running.url, "you")).toBe("app you");
    }
    expect(readFileSync(path, "utf8")).toBe("disposed of");
  });

  it("of an app that answers to any name", async () => {
    await using running = await run(anyName.options(options).bind());
    expect(await (await fetch(running.url)).json()).toEqual({ routes: 1 });
  });

  it("behind a proxy", async () => {
    await using running = await run(behindProxy.options(options).bind(2));
    expect(await running.handle.times.remote(5)).toBe(15);
    const counted: number[] = [];
    for await (const n of running.handle.options({ stream: true }).count.remote(3)) counted.push(n);
    expect(counted).toEqual([0, 3, 6]);
    expect(await (await fetch(running.url)).text()).toBe("times 3");
  });

  it("of before there were classes", async () => {
    await using running = await run(old.options(options).bind(4));
    expect(await running.handle.times.remote(5)).toBe(20);
    expect(await (await fetch(running.url)).text()).toBe("times 4");
  });

  it.each(["(ingress)", "ingress"])("whose deployment is named %s is not taken for the ingress", async (name) => {
    const callee = namedOne.options({ ...options, name }).bind();
    await using running = await run(namedOne.options({ ...options, name: "Front" }).bind(callee));
    expect(await running.handle.asked.remote()).toEqual(["Front", name, "Front"]);
  });
});
