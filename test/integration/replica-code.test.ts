import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { deployment, DeploymentFailedError, serve } from "heliostat";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { calculator, holder } from "../fixtures/calculator.ts";
import { fragile } from "../fixtures/fragile.ts";
import { hiddenApplication } from "../fixtures/hidden.ts";
import { member } from "../fixtures/member.ts";
import { streamer } from "../fixtures/streamer.ts";
import { thrower } from "../fixtures/thrower.ts";
import { failureOf, quiet, start, watchLeftovers } from "./harness.ts";

/** How a replica's process finds and runs the user's code. */
describe("a replica's code", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "code-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  class Elsewhere {
    call(): string {
      return "here";
    }
  }
  const moduleOf = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return pathToFileURL(join(folder, name)).href;
  };

  it.each([
    ["has a syntax error", "syntax.mjs", "export class Elsewhere {", /Unexpected end of input.*syntax\.mjs/],
    ["imports what is not there", "missing.mjs", 'import "./not-there.mjs"; export class Elsewhere {}', /not-there/],
    ["throws", "throwing.mjs", 'throw new RangeError("no luck at import");', /no luck at import/],
    ["does not define the class", "empty.mjs", "export const nothing = 1;", /Elsewhere/],
  ])("in a module that %s: an error that tells", async (_, name, text, message) => {
    const end = watchLeftovers();
    const broken = deployment(Elsewhere, { module: moduleOf(name, text), maxConstructorRetryCount: 1 });
    const error = await failureOf(serve.run(broken.bind()));
    expect(error).toBeInstanceOf(DeploymentFailedError);
    expect(error.message).toMatch(message);
    expect(error.message).toContain("Elsewhere");
    await end();
  });

  it("is found among the exports of its module", async () => {
    const exported = deployment(Elsewhere, {
      module: moduleOf("good.mjs", 'export class Elsewhere { call() { return "there"; } }'),
    });
    await using running = await start("processes", exported.bind());
    expect(await running.handle.remote()).toBe("there");
  });

  it("made inside a function that does not run at import: an error that names the remedies", async () => {
    const end = watchLeftovers();
    const error = await failureOf(serve.run(hiddenApplication()));
    expect(error).toBeInstanceOf(DeploymentFailedError);
    expect(error.message).toContain("Hidden");
    expect(error.message).toContain("module: import.meta.url");
    expect(error.message).toContain("local: true");
    await end();
    await using local = await start("local", hiddenApplication());
    expect(await local.handle.remote()).toBe("hidden");
  });

  it("runs with the deployment's env and nodeOptions, in a process of its own", async () => {
    const options = { env: { HELIOSTAT_TEST: "given" }, nodeOptions: ["--max-old-space-size=99"] };
    await using running = await start("processes", fragile.options(options).bind());
    const { env, execArgv, home } = await running.handle.settings.remote();
    expect(env).toBe("given");
    expect(execArgv).toContain("--max-old-space-size=99");
    expect(home).toBe(process.env["PATH"]);
    expect(await running.handle.pid.remote()).not.toBe(process.pid);
    expect(process.env["HELIOSTAT_TEST"]).toBeUndefined();
  });

  it("runs in a thread if it is told to: calls, handles, errors, streams", async () => {
    const thread = { isolation: "thread" } as const;
    const inThread = calculator.options(thread).bind(2);
    const inProcess = calculator.options({ name: "Other" }).bind(3);
    await using running = await start(
      "processes",
      holder.options(thread).bind(inThread, { list: [inThread, inProcess], note: "n" }),
    );
    expect(await running.handle.remote(5)).toEqual([10, [10, 15], "n"]);
    const streams = await serve.run(streamer.options(thread).bind(), { name: "s", routePrefix: "/s" });
    const items: number[] = [];
    for await (const item of streams.options({ stream: true }).numbers.remote(600)) items.push(item);
    expect(items).toEqual(Array.from({ length: 600 }, (_, i) => i));
    const errors = await serve.run(thrower.options(thread).bind(), { name: "e", routePrefix: "/e" });
    expect(await failureOf(errors.typed.remote())).toMatchObject({ name: "QuotaError", limit: 7 });
    const members = await serve.run(member.options({ ...thread, numReplicas: 2 }).bind(), {
      name: "m",
      routePrefix: "/m",
    });
    expect((await members.broadcast("rank")).sort()).toEqual([0, 1]);
    const { replicas } = (await serve.status()).applications["m"]!.deployments["Member"]!;
    expect(replicas.map(({ pid }) => pid)).toEqual([process.pid, process.pid]);
    await quiet();
  });
});
