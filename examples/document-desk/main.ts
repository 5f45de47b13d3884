import { readFile } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { HeliostatError, serve, type DeploymentHandle } from "heliostat";
import { app } from "./app.ts";
import type { Desk } from "./desk.ts";
import { watchStart } from "./progress.ts";
import { lineText, Report } from "./report.ts";

const usage = `Usage: npm run demo -- [options] [picture]

Reads the text of a picture with two models and prints it, with the time each step took.
Without a picture it reads its own example, a photographed page.

Options:
  -h, --help  show this`;

/** What went wrong is the user's to mend: its message is all they need. */
class UserError extends Error {
  readonly exitCode: number;

  constructor(message: string, { exitCode = 1, ...options }: ErrorOptions & { exitCode?: number } = {}) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

// A reader such as `head` may have had enough and be gone.
process.stdout.on("error", () => {});
try {
  const path = pathFrom(process.argv.slice(2));
  if (path === undefined) console.log(usage);
  else await readAloud(path, await bytesOf(path));
} catch (error) {
  if (!(error instanceof Error) || !isExpected(error)) throw error;
  console.error(error.message);
  process.exitCode = error instanceof UserError ? error.exitCode : 1;
}

async function readAloud(path: string, bytes: Uint8Array): Promise<void> {
  try {
    const desk = await start();
    console.error(`Reading ${path}`);
    await printLines(desk, bytes);
  } finally {
    await serve.shutdown();
  }
}

async function start(): Promise<DeploymentHandle<Desk>> {
  console.error("Starting the models, each replica in a process of its own");
  const started = new AbortController();
  const watching = watchStart((line) => console.error(line), started.signal);
  try {
    // This program calls it itself: no port is opened.
    return await serve.run(app, { routePrefix: null });
  } finally {
    started.abort();
    await watching;
  }
}

async function printLines(desk: DeploymentHandle<Desk>, bytes: Uint8Array): Promise<void> {
  const report = new Report();
  const resolutionMs = 1;
  const stalls = monitorEventLoopDelay({ resolution: resolutionMs });
  stalls.enable();
  const startMs = performance.now();
  let foundMs = 0;
  for await (const event of desk.options({ stream: true }).read.remote(bytes)) {
    report.add(event);
    if (event.kind === "line") console.log(lineText(event.line));
    else foundMs = performance.now() - startMs;
  }
  const totalMs = performance.now() - startMs;
  stalls.disable();
  if (report.lines.length === 0) console.log("There is no text on this picture.");
  const longestStallMs = Math.max(0, stalls.max / 1e6 - resolutionMs);
  console.log(`\n${report.timeText({ foundMs, totalMs, longestStallMs })}`);
}

/** The picture to read; undefined if help is wanted. */
function pathFrom(args: string[]): string | undefined {
  const { values, positionals } = parse(args);
  if (values.help === true) return undefined;
  const [path = fileURLToPath(new URL("page.png", import.meta.url)), ...others] = positionals;
  if (others.length > 0) throw misused(`One picture at a time, please: ${positionals.length} were given.`);
  return path;
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, allowPositionals: true, options: { help: { type: "boolean", short: "h" } } });
  } catch (error) {
    // Node's first sentence names the option; the rest is about its own conventions.
    throw misused(
      String((error as Error).message)
        .split(". ")[0]!
        .replace(/\.?$/, "."),
    );
  }
}

function misused(message: string): UserError {
  return new UserError(`${message}\n\n${usage}`, { exitCode: 2 });
}

async function bytesOf(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new UserError(`There is no file ${path}.`, { cause });
    if (code === "EISDIR") throw new UserError(`${path} is a directory: give a picture.`, { cause });
    throw new UserError(`${path} cannot be read: ${message}.`, { cause });
  }
}

/** An error of a replica is rebuilt here with its name and message; its class is not there to be asked for. */
function isExpected(error: Error): boolean {
  return error instanceof UserError || error instanceof HeliostatError || error.name === "PictureError";
}
