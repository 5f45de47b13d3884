import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { isRunning, until } from "../integration/harness.ts";
import { command, RunningCommand, TemporaryFolder } from "../support/command.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** `wrk` says its version with an error. */
const hasWrk = spawnSync("wrk", ["--version"]).error === undefined;
let folder: TemporaryFolder;
let cwd: string;

beforeEach(() => {
  folder = new TemporaryFolder();
  cwd = folder.path;
  mkdirSync(join(cwd, "node_modules"));
  symlinkSync(root, join(cwd, "node_modules/heliostat"));
  write("package.json", '{ "type": "module" }');
  write("app.ts", APP);
  write("word.ts", wordIs("one"));
});
afterEach(() => folder[Symbol.dispose]());

/** As an editor does it: nobody sees half a file. */
const write = (name: string, text: string): void => {
  writeFileSync(join(cwd, `${name}.new`), text);
  renameSync(join(cwd, `${name}.new`), join(cwd, name));
};
const wordIs = (word: string): string => `export const word: string = "${word}";\n`;
const get = async (url: string): Promise<string> => (await fetch(url)).text();

describe.skipIf(!hasWrk)("under wrk", { timeout: 60_000 }, () => {
  it("C2: files that change under run --reload fail no request", async () => {
    const running = new RunningCommand(["run", "app.ts", "--reload", "--http-port", "0", "--admin-port", "0"], { cwd });
    onTestFinished(() => void running.child.kill("SIGKILL"));
    const [, url] = await running.says(/RUNNING at (http:\S+)/);
    const load = new Load(url!);
    await expectServed(url!, "one");
    for (const word of ["two", "three", "four"]) {
      write("word.ts", wordIs(word));
      await until(async () => (await get(url!)) === `${word} `, `"${word}" is served`, 15_000);
    }
    expect(await load.end()).toEqual(noFailure);
    running.child.kill("SIGINT");
    expect(await running.exited).toBe(0);
  });

  it("F6: deploys of a changed configuration fail no request", async () => {
    const config = (greeting: string, replicas: number): void =>
      write(
        "heliostat.yaml",
        `applications:\n  - name: shop\n    routePrefix: /\n    importPath: ./app.ts\n    env: { GREETING: ${greeting} }\n    deployments: [{ name: Shop, numReplicas: ${replicas} }]\n`,
      );
    const heliostat = (...args: string[]) => command(args, { cwd });
    const started = await heliostat("start", "--http-port", "0", "--admin-port", "0");
    const url = /HTTP at (\S+)/.exec(started.stderr)![1]!;
    const admin = /REST interface at (\S+)/.exec(started.stderr)![1]!;
    const { pid } = (await (await fetch(`${admin}/api/v1/instance`)).json()) as { pid: number };
    onTestFinished(() => {
      if (isRunning(pid)) process.kill(pid, "SIGKILL");
    });
    config("a", 1);
    expect((await heliostat("deploy", "heliostat.yaml", "--wait")).code).toBe(0);
    const load = new Load(url);
    await expectServed(url, "one a");
    // Other replicas, more of them, fewer of them, and other code.
    for (const [greeting, replicas, word] of [
      ["b", 1, "one"],
      ["b", 2, "one"],
      ["c", 1, "one"],
      ["c", 1, "two"],
    ] as const) {
      write("word.ts", wordIs(word));
      config(greeting, replicas);
      expect((await heliostat("deploy", "heliostat.yaml", "--wait")).code).toBe(0);
      expect(await get(url)).toBe(`${word} ${greeting}`);
    }
    expect(await load.end()).toEqual(noFailure);
    expect((await heliostat("shutdown", "-y")).code).toBe(0);
    await until(() => !isRunning(pid), "the instance has ended");
  });
});

const noFailure = { requests: expect.any(Number), failures: [] };

async function expectServed(url: string, text: string): Promise<void> {
  expect((await get(url)).trim()).toBe(text);
}

/** Requests on many connections, from its beginning to its end. */
class Load {
  readonly #child;
  readonly #closed;
  #said = "";

  constructor(url: string) {
    // Longer than any test; and on a busy machine a late answer is none that failed.
    this.#child = spawn("wrk", ["-t", "2", "-c", "32", "-d", "300s", "--timeout", "20s", url], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void this.#child.kill("SIGKILL"));
    this.#child.stdout.on("data", (chunk: Buffer) => (this.#said += chunk.toString()));
    this.#closed = once(this.#child, "close");
  }

  /** @returns how many there were, and what wrk says of those that failed. */
  async end(): Promise<{ requests: number; failures: string[] }> {
    this.#child.kill("SIGINT");
    await this.#closed;
    const requests = Number(/(\d+) requests in/.exec(this.#said)?.[1]);
    expect(requests, this.#said).toBeGreaterThan(100);
    return { requests, failures: this.#said.match(/^\s*(Socket errors|Non-2xx).*$/gm) ?? [] };
  }
}

const APP = `
import { deployment } from "heliostat";
import { word } from "./word.ts";

class Shop {
  fetch() {
    return new Response(word + " " + (process.env.GREETING ?? ""));
  }
}
export const app = deployment(Shop, { gracefulShutdownWaitLoopMs: 0, maxOngoingRequests: 100 }).bind();
`;
