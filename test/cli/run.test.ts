import { spawn as spawnTerminal } from "@lydell/node-pty";
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, expect, it, onTestFinished } from "vitest";
import { childPids, isRunning, socketDirectories, until } from "../integration/harness.ts";
import { command, commandArguments, RunningCommand, terminalEnvironment, TemporaryFolder } from "../support/command.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
let cwd: string;

beforeEach(() => {
  const folder = new TemporaryFolder();
  onTestFinished(() => folder[Symbol.dispose]());
  cwd = folder.path;
  mkdirSync(join(cwd, "node_modules"));
  symlinkSync(root, join(cwd, "node_modules/heliostat"));
  write("package.json", '{ "type": "module" }');
  write("word.ts", 'export const word: string = "one";\n');
  write("app.ts", APP);
});

const write = (name: string, text: string): void => {
  writeFileSync(join(cwd, `${name}.new`), text);
  renameSync(join(cwd, `${name}.new`), join(cwd, name));
};
const run = (...args: string[]): RunningCommand => {
  const running = new RunningCommand(["run", "--http-port", "0", "--admin-port", "0", ...args], { cwd });
  onTestFinished(() => void running.child.kill("SIGKILL"));
  return running;
};
const isRunningAt = /Application "([^"]+)" is RUNNING at (http:\S+)/;
const get = async (url: string): Promise<string> => (await fetch(url)).text();

/** What a command has started is gone with it. */
async function nothingIsLeft(running: RunningCommand, replicas: readonly number[]): Promise<void> {
  await until(() => replicas.every((pid) => !isRunning(pid)), "its replicas have ended");
  await until(() => socketDirectories(running.child.pid!).length === 0, "its sockets are gone");
}

it("C2: serves until SIGINT, finishes what it has accepted, and leaves nothing", async () => {
  const running = run("app.ts", "--name", "shop", "--route-prefix", "/shop", "--http-workers", "2");
  const [, name, url] = await running.says(isRunningAt);
  expect([name, url]).toEqual(["shop", expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/shop$/)]);
  expect(await get(url!)).toBe("one");
  const replicas = childPids(running.child.pid!);
  // A replica, two that serve HTTP, and the reaper.
  expect(replicas).toHaveLength(4);
  const slow = get(`${url}/slow`);
  await until(async () => (await get(`${url}/waiting`)) === "1", "it has been accepted");
  running.child.kill("SIGINT");
  expect(await slow).toBe("slow");
  expect(await running.exited).toBe(0);
  // Results are for stdout, and there are none.
  expect(running.stdout).toBe("");
  await nothingIsLeft(running, replicas);
});

it("C2: a second signal ends at once, and so does kill -9; the replicas go too", async () => {
  for (const signals of [["SIGTERM", "SIGTERM"], ["SIGKILL"]] as const) {
    const running = run("app.ts");
    const [, , url] = await running.says(isRunningAt);
    const replicas = childPids(running.child.pid!);
    const slow = get(`${url}endless`).catch(() => "broken off");
    await until(async () => (await get(`${url}waiting`)) === "1", "it has been accepted");
    running.child.kill(signals[0]);
    if (signals.length === 2) {
      await running.says(/Stopping/);
      running.child.kill(signals[1]);
    }
    await running.exited;
    // If the replica is gone before its proxy, that has the time to say so.
    expect(await slow).toMatch(/^(broken off|Internal Server Error\. Request \S+ failed\.)$/);
    await nothingIsLeft(running, replicas);
  }
});

it("C2: what cannot be deployed is told with the user's own error first, and nothing stays", async () => {
  write("broken.ts", 'import { nothing } from "./nowhere.ts";\nexport const app = nothing;\n');
  const broken = await command(["run", "broken.ts", "--http-port", "0", "--admin-port", "0"], { cwd });
  expect(broken.code).toBe(1);
  expect(broken.stderr).toMatch(/could not be deployed\.\nError.*nowhere\.ts/);
  const failing = await command(["run", "app.ts:failing", "--http-port", "0", "--admin-port", "0"], { cwd });
  expect([failing.code, failing.stderr]).toEqual([1, expect.stringContaining("model.onnx is missing")]);
});

it("C1: a command line that is wrong is 2, and says what to write", async () => {
  const codes = [];
  for (const args of [
    ["app.ts:none"],
    ["app.ts", "size=3"],
    ["app.ts:Shop"],
    ["none.ts"],
    ["none.yaml"],
    ["app.ts", "--http-port", "x"],
    ["app.ts", "--http-workers", "0"],
    ["app.ts", "word"],
    [],
  ]) {
    const { code, stderr } = await command(
      ["run", ...args, "--admin-port", "0"].concat(args.includes("--http-port") ? [] : ["--http-port", "0"]),
      { cwd },
    );
    codes.push([code, stderr.trim().split("\n").at(-1)]);
  }
  expect(codes).toEqual([
    [2, expect.stringContaining('has no export "none"')],
    [2, expect.stringContaining("Arguments can only be passed to an application builder function")],
    [2, expect.stringContaining("deployment(Shop).bind(…)")],
    [2, expect.stringContaining("There is no module")],
    [2, expect.stringContaining("There is no file")],
    [2, expect.any(String)],
    [2, expect.stringContaining("is no number of processes")],
    [2, expect.stringContaining("write KEY=VALUE")],
    [2, expect.any(String)],
  ]);
});

it("C2: runs a configuration, whose warnings it tells; KEY=VALUE goes to a function", async () => {
  write(
    "heliostat.yaml",
    "http: { prot: 1 }\napplications:\n  - { name: a, routePrefix: /a, importPath: './app.ts:build', args: { word: two } }\n  - { name: b, routePrefix: null, importPath: './app.ts' }\n",
  );
  const running = run("heliostat.yaml");
  const [, , url] = await running.says(isRunningAt);
  expect(await get(url!)).toBe("two");
  await running.says(/Application "b" is RUNNING\n/);
  expect(running.stderr).toMatch(
    /warning: .*heliostat\.yaml:1:15: http\.prot is not known and is ignored\. Did you mean "port"\?/,
  );
  running.child.kill("SIGTERM");
  expect(await running.exited).toBe(0);
  const other = run("app.ts:build", "word=three");
  const [, , otherUrl] = await other.says(isRunningAt);
  expect(await get(otherUrl!)).toBe("three");
  other.child.kill("SIGTERM");
  expect(await other.exited).toBe(0);
});

it("C2: --reload deploys again when a file changes, without a failed request; code that cannot be loaded changes nothing", async () => {
  const running = run("app.ts", "--reload");
  const [, , url] = await running.says(isRunningAt);
  let isOver = false;
  const answers = new Set<string>();
  const client = (async () => {
    while (!isOver) answers.add(await get(url!));
  })();
  write("word.ts", readFileSync(join(cwd, "word.ts"), "utf8").replace("one", "two"));
  await until(async () => (await get(url!)) === "two", "the new code serves", 15_000);
  write("word.ts", "throw new Error('in the new code');\nexport const word = '';\n");
  await running.says(/stays as it was:\nError: in the new code/);
  expect(await get(url!)).toBe("two");
  write("word.ts", "export const word = 'three';\n");
  await until(async () => (await get(url!)) === "three", "it serves again", 15_000);
  isOver = true;
  await client;
  expect(answers).toEqual(new Set(["one", "two", "three"]));
  running.child.kill("SIGINT");
  expect(await running.exited).toBe(0);
}, 60_000);

it("C2: on a terminal it has colours, and Ctrl-C ends it in order", async () => {
  const terminal = spawnTerminal(
    process.execPath,
    commandArguments(["run", "app.ts", "--http-port", "0", "--admin-port", "0"]),
    { cwd, env: terminalEnvironment(cwd) },
  );
  let screen = "";
  terminal.onData((text) => (screen += text));
  const exited = new Promise<number>((resolve) => terminal.onExit(({ exitCode }) => resolve(exitCode)));
  await until(() => screen.includes("RUNNING"), "it runs", 15_000);
  expect(screen).toContain("\u001B[32mRUNNING\u001B[39m");
  terminal.write("\u0003");
  expect(await exited).toBe(0);
  expect(screen).toContain("Stopping");
});

const APP = `
import { deployment } from "heliostat";
import { word } from "./word.ts";

let waiting = 0;

class Shop {
  readonly #word: string;
  constructor(given: string) {
    this.#word = given;
  }
  async fetch(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname;
    if (path === "/waiting") return new Response(String(waiting));
    if (path === "/slow" || path === "/endless") {
      waiting++;
      await new Promise((resolve) => setTimeout(resolve, path === "/slow" ? 300 : 1e6));
      return new Response("slow");
    }
    return new Response(this.#word);
  }
}
class Failing {
  constructor() {
    throw new Error("model.onnx is missing");
  }
}
const shop = deployment(Shop, { gracefulShutdownWaitLoopMs: 0 });
export const app = shop.bind(word);
export const build = ({ word: given }: { word: string }) => shop.bind(given);
export const failing = deployment(Failing, { maxConstructorRetryCount: 1 }).bind();
export { Shop };
`;
