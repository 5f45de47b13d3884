import { execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { RunningCommand } from "../support/command.ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const pagePath = fileURLToPath(new URL("../../examples/document-desk/page.png", import.meta.url));

const picture = readFileSync(pagePath);

/** What a reader sees on the page; the last two lines are cut by the picture's edge. */
const page = [
  "Region-based segmentation",
  "Let us first determine markers of the coins and the",
  "background. These markers are pixels that we can label",
  "unambiguously as either object or background. Here,",
  "the markers are found at the two extreme parts of the",
  "histogram of grey values:",
  ">>> markers = np.zeros_like(coins)",
];

/** Long enough for a busy machine; only a program that hangs reaches it. */
const timeout = 60_000;
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "heliostat-examples-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

test("hello says hello", { timeout }, async () => {
  expect(await run("hello/app.ts")).toEqual({ code: 0, stdout: "Hello world!\n", stderr: "" });
});

test("streaming stops its writer when the reader breaks off", { timeout }, async () => {
  const { code, stdout, stderr } = await run("streaming/app.ts");

  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const [read, stopped, later] = stdout.split("\n");
  expect(read).toBe("Read 12 tokens: ROUND AND ROUND IT GOES ROUND AND ROUND IT GOES ROUND AND");
  expect(Number(/^The writer stopped after (\d+) tokens\.$/.exec(stopped ?? "")?.[1])).toBeGreaterThanOrEqual(12);
  expect(later).toBe("100 ms later: 0 more tokens, 0 open streams.");
});

describe("document-desk", () => {
  test(
    "as a service: curl -T streams its lines, and a client that goes away stops both models",
    { timeout: 120_000 },
    async () => {
      const service = new RunningCommand(
        ["run", "app.ts", "--http-port", "0", "--admin-port", "0", "-d", join(root, "examples/document-desk")],
        { cwd: folder },
      );
      try {
        const [, url] = await service.says(/RUNNING at (http:\S+)/);
        const curl = spawn("curl", ["-sN", "-T", pagePath, url!], { stdio: ["ignore", "pipe", "inherit"] });
        const arrivals: number[] = [];
        let text = "";
        for await (const chunk of curl.stdout) {
          arrivals.push(performance.now());
          text += String(chunk);
        }
        const right = text
          .trim()
          .split("\n")
          .filter((line, i) => withoutSpaces(line) === withoutSpaces(page[i]!));
        expect(right.length, text).toBeGreaterThanOrEqual(6);
        // They come one by one, not all at the end.
        expect(arrivals.length).toBeGreaterThan(2);
        const usage = await fetch(url!);
        expect([usage.status, await usage.text()]).toEqual([405, expect.stringContaining("curl -T")]);
        const notOne = await fetch(url!, { method: "PUT", body: "no picture" });
        expect(notOne.status).toBe(415);

        // What waits for a model when its client goes away is never begun: the next picture is first in line.
        const leaving = Array.from({ length: 12 }, () => {
          const abort = new AbortController();
          const sent = fetch(url!, { method: "PUT", body: picture, signal: abort.signal }).catch(() => undefined);
          return { abort, sent };
        });
        await new Promise((resolve) => setTimeout(resolve, 300));
        for (const { abort } of leaving) abort.abort();
        await Promise.all(leaving.map(({ sent }) => sent));
        const begun = performance.now();
        await (await fetch(url!, { method: "PUT", body: picture })).text();
        const afterwardsMs = performance.now() - begun;
        const again = performance.now();
        await (await fetch(url!, { method: "PUT", body: picture })).text();
        const aloneMs = performance.now() - again;
        // Twelve pictures before it would take twelve times as long.
        expect(afterwardsMs).toBeLessThan(5 * aloneMs);
      } finally {
        service.child.kill("SIGTERM");
        await service.exited;
      }
      expect(service.child.exitCode).toBe(0);
    },
  );

  test("reads the page, and says where the time went", { timeout }, async () => {
    const { code, stdout, stderr } = await run("document-desk/main.ts");

    expect(code).toBe(0);
    const lines = textOf(stdout);
    expect(lines).toHaveLength(page.length);
    // In reading order: each line is compared with the one at its place.
    const right = lines.filter((line, i) => withoutSpaces(line) === withoutSpaces(page[i]!));
    expect(right.length, stdout).toBeGreaterThanOrEqual(6);

    expect(stdout).toMatch(/^ {2}Detector {4}rank 0 {2}pid \d+ +decode \d+ ms, detect \d+ ms, cut \d+ ms$/m);
    // One detector and two recognizers: three processes, or the composition runs in fewer places than it says.
    expect(pidsOf(stdout, "Recognizer").size, stdout).toBe(2);
    expect(new Set([...pidsOf(stdout, "Detector"), ...pidsOf(stdout, "Recognizer")]).size, stdout).toBe(3);
    expect(stdout).toMatch(/: \d+ ms in all$/m);
    expect(stdout).toMatch(/event loop never stood still longer than \d+\.\d ms$/m);
    expect(stderr).toMatch(/^ {2}Recognizer +2 of 2 running after \d+ ms$/m);
    expect(stderr).toMatch(/^Reading .*page\.png$/m);
  });

  test("reads another picture: large, coloured, tilted the other way", { timeout }, async () => {
    const path = join(folder, "tilted.jpg");
    // From the page and not from a font, which a machine may lack.
    const large = await sharp(pagePath).resize(2000).toColourspace("srgb").tint("#d0b080").toBuffer();
    await sharp(large).rotate(-4, { background: "#504030" }).toFile(path);
    const { code, stdout } = await run("document-desk/main.ts", path);

    expect(code).toBe(0);
    const lines = textOf(stdout).map(withoutSpaces);
    const right = page.slice(0, 6).filter((line) => lines.includes(withoutSpaces(line)));
    expect(right.length, stdout).toBeGreaterThanOrEqual(5);
  });

  test("says so when there is no text", { timeout }, async () => {
    const path = join(folder, "blank.png");
    await sharp({ create: { width: 600, height: 400, channels: 3, background: "white" } }).toFile(path);
    const { code, stdout } = await run("document-desk/main.ts", path);

    expect(code).toBe(0);
    expect(stdout).toMatch(/^There is no text on this picture\.\n/);
    expect(stdout).toMatch(/^ {2}Detector .* detect \d+ ms/m);
  });

  test.each([
    ["garbage.png", Buffer.from("this is no picture")],
    ["empty.png", Buffer.alloc(0)],
    ["cut.png", undefined],
  ])("refuses %s in words that come from the replica", { timeout }, async (name, bytes) => {
    const path = join(folder, name);
    await writeFile(path, bytes ?? (await cutShort()));
    const { code, stdout, stderr } = await run("document-desk/main.ts", path);

    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^The picture cannot be read: .+\.\n$/m);
    expectNoStack(stderr);
  });

  test("refuses what is no file, before anything starts", { timeout }, async () => {
    const missing = await run("document-desk/main.ts", join(folder, "missing.png"));
    expect(missing).toEqual({ code: 1, stdout: "", stderr: `There is no file ${join(folder, "missing.png")}.\n` });

    const directory = await run("document-desk/main.ts", folder);
    expect(directory).toEqual({ code: 1, stdout: "", stderr: `${folder} is a directory: give a picture.\n` });
  });

  test("prints its usage when asked", { timeout }, async () => {
    const { code, stdout, stderr } = await run("document-desk/main.ts", "--help");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^Usage: npm run demo/);
  });

  test.each([
    ["an unknown option", ["--colour"], "Unknown option '--colour'."],
    ["two pictures", ["a.png", "b.png"], "One picture at a time, please: 2 were given."],
  ])("refuses %s, with its usage", { timeout }, async (_, args, message) => {
    const { code, stdout, stderr } = await run("document-desk/main.ts", ...args);

    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr.startsWith(`${message}\n\nUsage: `), stderr).toBe(true);
    expectNoStack(stderr);
  });
});

interface Outcome {
  readonly code: number | string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs an example as its reader would, with the same Node. */
function run(example: string, ...args: string[]): Promise<Outcome> {
  const script = fileURLToPath(new URL(`../../examples/${example}`, import.meta.url));
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ["--conditions=heliostat-source", script, ...args],
      { timeout: timeout - 5_000 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : (error.code ?? error.signal ?? undefined);
        resolve({ code, stdout, stderr });
      },
    );
  });
}

/** The page, of which the second half was lost. */
async function cutShort(): Promise<Uint8Array> {
  const whole = await readFile(pagePath);
  return whole.subarray(0, whole.length / 2);
}

/** The lines that were read, without their confidence. */
function textOf(stdout: string): string[] {
  return [...stdout.matchAll(/^ {0,2}\d{1,3} % {2}(.*)$/gm)].map(([, text]) => text!);
}

function withoutSpaces(text: string): string {
  return text.replaceAll(" ", "");
}

function pidsOf(stdout: string, deployment: string): Set<string> {
  return new Set(
    [...stdout.matchAll(new RegExp(`^ {2}${deployment} +rank \\d+ {2}pid (\\d+)`, "gm"))].map(([, pid]) => pid!),
  );
}

function expectNoStack(stderr: string): void {
  expect(stderr).not.toMatch(/^\s+at /m);
}
