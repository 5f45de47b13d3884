import { createServer } from "node:net";
import { once } from "node:events";
import { serve } from "heliostat";
import { describe, expect, it } from "vitest";
import { fetchFields, field, without } from "../../fixtures/fetch-fields.ts";
import { failureOf, start, watchLeftovers } from "../harness.ts";
import { ways } from "./ways.ts";

const urlOf = async (): Promise<string> => (await serve.status()).proxies[0]!.url;
const textAt = async (path: string): Promise<string> => (await fetch((await urlOf()) + path)).text();

describe.each(ways)("$name", (way) => {
  const local = way.mode === "local";

  it("H1: a fetch that only instances have is seen when there is one, in processes of their own", async () => {
    await using _ = await start("processes", field, { http: way.http() });
    expect(await textAt("/")).toBe("a field");
  });

  it.each(Object.entries(fetchFields))("H1: %s", async (word, app) => {
    await using _ = await start(way.mode, app, { http: way.http() });
    expect(await textAt("/")).toBe(word);
  });

  it("H3: a prefix that it cannot have is refused as ever: nothing of it stays, an update is taken back", async () => {
    await using _ = await start(way.mode, field, { http: way.http() });
    const refused = await failureOf(serve.run(field, { name: "second", local }));
    expect(refused).toMatchObject({ code: "CONFIG", path: "routePrefix" });
    expect(Object.keys((await serve.status()).applications)).toEqual(["default"]);
    const second = { name: "second", local };
    await serve.run(without, second);
    expect(await failureOf(serve.run(field, second))).toMatchObject({ path: "routePrefix" });
    const word = (serve.getAppHandle("second") as unknown as { word: { remote(): Promise<string> } }).word.remote();
    expect(await word).toBe("no HTTP");
    expect(await textAt("/")).toBe("a field");
    // Moved, and without HTTP after the next update.
    await serve.run(field, { ...second, routePrefix: "/second" });
    expect(await textAt("/second")).toBe("a field");
    await serve.run(without, { ...second, routePrefix: "/second" });
    expect(await (await fetch(`${await urlOf()}/-/routes`)).json()).toEqual({ "/": "default" });
  });

  it("H2: a port that is taken is an error of run, and the application does not stay", async () => {
    const blocker = createServer().listen(0, "127.0.0.1");
    await once(blocker, "listening");
    const { port } = blocker.address() as { port: number };
    const end = watchLeftovers();
    expect(await failureOf(serve.run(field, { local, http: { ...way.http(), port } }))).toMatchObject({
      path: "http.port",
    });
    expect((await serve.status()).applications).toEqual({});
    await end();
    blocker.close();
  });
});
