import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TemporaryProject } from "../support/project.ts";
import { socketDirectories } from "./harness.ts";

/** How a script is loaded again in its replicas. */
let project: TemporaryProject;
beforeAll(() => {
  project = new TemporaryProject();
});
afterAll(() => {
  project[Symbol.dispose]();
  expect(project.pids.length).toBeGreaterThan(0);
  expect(project.pids.flatMap(socketDirectories), "socket directories after the programs").toEqual([]);
});

describe("a class that is defined after a serve.run whose result is used", () => {
  const program = (options: string): string => `
import { deployment, serve } from "heliostat";
class First { call() { return "first"; } }
const first = await serve.run(deployment(First).bind(), { name: "one", routePrefix: null${options} });
console.log(await first.remote());
class Second { call() { return "second"; } }
try {
  const second = await serve.run(deployment(Second, { maxConstructorRetryCount: 1 }).bind(), { name: "two", routePrefix: null${options} });
  console.log(await second.remote());
} catch (error) {
  console.log(error.message);
}
await serve.shutdown();
`;

  it("is refused, by a message that says so and what to do", async () => {
    project.write("used.ts", program(""));
    const { stdout, stderr } = await project.run("used.ts");
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^first\n/);
    expect(stdout).toContain("defines Second, by deployment(Second), after a serve.run(…) whose result it uses");
    expect(stdout).toContain("Call deployment(Second) before the first serve.run(…), or move the classes");
  });

  it("has the same name as the first one: the first one is not taken for it", async () => {
    const text = program("")
      .replace("class Second {", "const again = class First {")
      .replace("deployment(Second", "deployment(again");
    project.write("same-name.ts", text);
    const { stdout } = await project.run("same-name.ts");
    expect(stdout).toMatch(/^first\n.*defines First, .*after a serve\.run/);
  });

  it("runs where it is defined before, or locally", async () => {
    const second = 'class Second { call() { return "second"; } }';
    const before = program("")
      .replace(second, "")
      .replace("class First", `${second} const Deployed = deployment(Second); class First`)
      .replace("deployment(Second, { maxConstructorRetryCount: 1 })", "Deployed");
    project.write("before.ts", before);
    project.write("local.ts", program(", local: true"));
    for (const name of ["before.ts", "local.ts"]) expect((await project.run(name)).stdout).toBe("first\nsecond\n");
  });
});

describe("serve.isReplica()", () => {
  const program = (options: string, isolation = "process"): string => `
import { deployment, serve } from "heliostat";
const isReplica = serve.isReplica();
class Asks {
  readonly inConstructor = serve.isReplica();
  call() { return [isReplica, this.inConstructor, serve.isReplica()]; }
}
if (!isReplica) console.log("only in the script");
const handle = await serve.run(deployment(Asks, { isolation: "${isolation}" }).bind(), { routePrefix: null${options} });
console.log(serve.isReplica(), ...(await handle.remote()));
await serve.shutdown();
`;

  it.each([
    ["processes", program(""), "false true true true"],
    ["threads", program("", "thread"), "false true true true"],
    // There the module is not loaded again, and the script's own code is no replica's.
    ["one process", program(", local: true"), "false false true true"],
  ])("tells a replica from the script, in %s", async (where, text, expected) => {
    const name = `${where.replace(" ", "-")}.ts`;
    project.write(name, text);
    const { stdout, stderr } = await project.run(name);
    expect(stderr).toBe("");
    expect(stdout).toBe(`only in the script\n${expected}\n`);
  });

  it("is not needed where the deployments are in a module of their own: replicas load that, and not the script", async () => {
    const note = (who: string): string =>
      `import { appendFileSync } from "node:fs"; appendFileSync("loads", "${who}\\n"); import { deployment, serve } from "heliostat";`;
    project.write(
      "deployed.ts",
      `${note("module")} export const App = deployment(class App { call() { return 1; } });`,
    );
    project.write(
      "script.ts",
      `${note("script")} import { App } from "./deployed.ts";
const handle = await serve.run(App.bind(), { routePrefix: null });
console.log(await handle.remote());
await serve.shutdown();`,
    );
    expect((await project.run("script.ts")).stdout).toBe("1\n");
    const loads = readFileSync(join(project.path, "loads"), "utf8").trimEnd().split("\n").toSorted();
    expect(loads).toEqual(["module", "module", "script"]);
  });

  it("keeps code out of proxies too, which load the module for a routing policy", async () => {
    project.write(
      "proxied.ts",
      `
import { appendFileSync } from "node:fs";
import { deployment, serve } from "heliostat";
appendFileSync("loaded", serve.isReplica() ? "again\\n" : "first\\n");
const App = deployment(class App { fetch() { return new Response("ran"); } }, {
  requestRouter: { policy: (candidates) => candidates[0] },
});
await serve.run(App.bind(), { http: { port: 0, workers: 2 } });
const { url } = (await serve.status()).proxies[0];
console.log(await (await fetch(url)).text());
await serve.shutdown();
`,
    );
    expect((await project.run("proxied.ts")).stdout).toBe("ran\n");
    const loaded = readFileSync(join(project.path, "loaded"), "utf8").trimEnd().split("\n").toSorted();
    // The script; its replica and two proxies.
    expect(loaded).toEqual(["again", "again", "again", "first"]);
  });
});

describe("the module of a definition is found", () => {
  const program = (first: string, deployed = "deployment(Model)"): string => `
import { deployment, serve } from "heliostat";
${first}
class Model { call() { return "ran"; } }
const handle = await serve.run(${deployed}.bind(), { routePrefix: null });
console.log(await handle.remote());
await serve.shutdown();
`;
  // As bundlers do in their development mode, which evaluate each module under a made-up name.
  const evaluated = `
const evaluate = eval("(f) => f()\\n//# sourceURL=webpack-internal:///./src/model.js");
const define = () => evaluate(() => eval("(deployment, target) => deployment(target)\\n//# sourceURL=webpack-internal:///(rsc)/./a.js"))(deployment, Model);`;

  it.each([
    ["where Error is frozen", program("Object.freeze(Error);")],
    ["where Error is sealed", program("Object.seal(Error);")],
    ["beside a prepareStackTrace of another library", program(`Error.prepareStackTrace = () => "nothing to see";`)],
    [
      "beside one that cannot be replaced",
      program(`Object.defineProperty(Error, "prepareStackTrace", { value: (_, frames) => frames });`),
    ],
    ["where stacks are switched off", program("Error.stackTraceLimit = 0;")],
    ["behind code with made-up URLs", program(evaluated, "define()")],
  ])("%s", async (_, text) => {
    project.write("found.ts", text);
    const { stdout, stderr } = await project.run("found.ts");
    expect(stderr).toBe("");
    expect(stdout).toBe("ran\n");
  });

  it("where it cannot be told, by what the message says", async () => {
    const blind = `Error.stackTraceLimit = 0; Object.freeze(Error);`;
    project.write("blind.ts", program(blind));
    const { stderr } = await project.run("blind.ts");
    expect(stderr).toContain("Write deployment(…, { module: import.meta.url }).");
    project.write("told.ts", program(blind, "deployment(Model, { module: import.meta.url })"));
    expect((await project.run("told.ts")).stdout).toBe("ran\n");
  });
});
