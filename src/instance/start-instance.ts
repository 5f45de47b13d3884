import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { decodeValue, specFormats } from "../formats/spec-formats.ts";
import { isSameProcess, type ProcessMark } from "../engine/process/process-mark.ts";
import { StateDirectory, type InstanceRecord } from "../client/state-directory.ts";
import { HeliostatError } from "../core/errors.ts";
import type { HttpOptions } from "../core/serve-types.ts";
import { inheritedFlags } from "../engine/inherited-flags.ts";
import { OUTCOME_FD } from "../engine/outcome-pipe.ts";
import { LOG_FILE, LOGS_FOLDER } from "./logs/log-folder.ts";

export interface StartOptions {
  /** @default the user's own */
  readonly stateDirectory?: string | undefined;
  readonly http: HttpOptions;
  readonly admin: AdminOptions;
  /** How long what runs waits for the next instance when this one has crashed. @default 600_000 */
  readonly adoptionMs?: number | undefined;
}

export interface AdminOptions {
  readonly host: string;
  readonly port: number;
  readonly token?: string | undefined;
}

export interface StartedInstance {
  readonly record: InstanceRecord;
  /** None ran before. */
  readonly isNew: boolean;
  /** It has what an instance ran that has crashed. */
  readonly tookOver: boolean;
}

/** The only thing that a new instance says to whoever has started it. */
export type StartOutcome =
  | { readonly type: "ready"; readonly record: InstanceRecord; readonly tookOver: boolean }
  /** Another one has the state directory: it runs, or will in a moment. */
  | { readonly type: "taken"; readonly holder: ProcessMark }
  | { readonly type: "failed"; readonly error: unknown };

const instanceMain = fileURLToPath(new URL(`./instance-main${extname(import.meta.url)}`, import.meta.url));
/** A process that has not said anything by then hangs. */
const START_MS = 30_000;
const LOOK_MS = 20;
/** What is shown of the log of an instance that has ended without a word. */
const LAST_LINES = 10;

/** The instance that runs with this state directory. */
export function findInstance(stateDirectory?: string): InstanceRecord | undefined {
  return new StateDirectory(stateDirectory).record();
}

/**
 * Starts an instance that outlives this process, unless one runs with the same state directory. Resolves when it is ready.
 *
 * @throws {HeliostatError} if the state directory cannot be used, and whatever keeps the instance from starting.
 */
export async function startInstance(options: StartOptions): Promise<StartedInstance> {
  const directory = new StateDirectory(options.stateDirectory);
  directory.make();
  for (;;) {
    const running = directory.record();
    if (running !== undefined) return { record: running, isNew: false, tookOver: false };
    const outcome = await launch(directory, options);
    if (outcome.type === "failed") throw outcome.error;
    if (outcome.type === "ready") return { record: outcome.record, tookOver: outcome.tookOver, isNew: true };
    const record = await comingUp(directory, outcome.holder);
    if (record !== undefined) return { record, isNew: false, tookOver: false };
  }
}

async function launch(directory: StateDirectory, options: StartOptions): Promise<StartOutcome> {
  const log = openLog(directory);
  let child: ChildProcess;
  try {
    child = spawn(process.execPath, [...inheritedFlags(), instanceMain], {
      // A session of its own: what ends this process and its terminal does not reach it.
      detached: true,
      stdio: ["pipe", log, log, "pipe"],
    });
  } finally {
    closeSync(log);
  }
  const timer = setTimeout(() => child.kill("SIGKILL"), START_MS);
  // Not on its command line, where others could read the token.
  child.stdin!.on("error", () => {});
  child.stdin!.end(JSON.stringify({ ...options, stateDirectory: directory.path }));
  const chunks: Buffer[] = [];
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`could not be started: ${error.message}`));
    child.once("exit", (code, signal) =>
      resolve(signal === null ? `ended with code ${code}` : `was ended by ${signal}`),
    );
  });
  const told = new Promise<void>((resolve) => {
    child.stdio[OUTCOME_FD]!.on("data", (chunk: Buffer) => chunks.push(chunk)).once("close", resolve);
  });
  await told;
  clearTimeout(timer);
  if (chunks.length > 0) {
    const outcome = decodeValue(Buffer.concat(chunks), specFormats()) as StartOutcome;
    if (outcome.type !== "ready") await ended;
    child.unref();
    return outcome;
  }
  const lines = readFileSync(directory.file(LOG_FILE), "utf8").trimEnd().split("\n").slice(-LAST_LINES);
  const said = [`The instance ${await ended} before it was ready.`, ...lines].join("\n");
  return { type: "failed", error: new HeliostatError(`${said}\n(from ${directory.file(LOG_FILE)})`) };
}

/** Its file is this user's alone, like all that is in the state directory. */
function openLog(directory: StateDirectory): number {
  try {
    mkdirSync(directory.file(LOGS_FOLDER), { recursive: true, mode: 0o700 });
    return openSync(directory.file(LOG_FILE), "a", 0o600);
  } catch (cause) {
    throw new HeliostatError(
      `The instance cannot write to ${directory.file(LOG_FILE)}: ${(cause as Error).message}. Choose another state directory with --state-dir or HELIOSTAT_STATE_DIR.`,
      { cause },
    );
  }
}

/** The instance that another process starts at this moment; undefined if nothing comes of it. */
async function comingUp(directory: StateDirectory, holder: ProcessMark): Promise<InstanceRecord | undefined> {
  for (let waitedMs = 0; waitedMs < START_MS; waitedMs += LOOK_MS) {
    const record = directory.record();
    if (record !== undefined || !isSameProcess(holder)) return record;
    await wait(LOOK_MS);
  }
  throw new HeliostatError(
    `Process ${holder.pid} has the state directory ${directory.path}, and is no instance that can be reached. End it, or choose another directory with --state-dir or HELIOSTAT_STATE_DIR.`,
  );
}
