import { rmSync } from "node:fs";
import { text } from "node:stream/consumers";
import { openAdminServer, type AdminServer } from "../admin/admin-server.ts";
import { encodeValue, specFormats } from "../formats/spec-formats.ts";
import { writeOutcome } from "../engine/outcome-pipe.ts";
import { startOfProcess } from "../engine/process/process-mark.ts";
import { StateDirectory, type InstanceRecord } from "../client/state-directory.ts";
import { HeliostatError } from "../core/errors.ts";
import { systemClock } from "../engine/system-clock.ts";
import { stderrLog } from "../observe/log.ts";
import { KeptService } from "./kept-service.ts";
import { forgetRuntime, readRuntime, writeRuntime } from "./runtime-record.ts";
import { Service } from "./service.ts";
import { LogFolder, LOGS_FOLDER } from "./logs/log-folder.ts";
import { LogKeeper } from "./logs/log-keeper.ts";
import type { StartOptions, StartOutcome } from "./start-instance.ts";
import { version } from "./version.ts";

/** Entry point of an instance of its own: gets its options on standard input, and says once whether it is ready. */

/** How long what runs waits for the next instance when this one has crashed. */
const ADOPTION_MS = 600_000;

const log = stderrLog("info", "heliostat");
const options = JSON.parse(await text(process.stdin)) as StartOptions & { readonly stateDirectory: string };
const directory = new StateDirectory(options.stateDirectory);
const ended = Promise.withResolvers<void>();
let isEnding = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => end(signal));
// The terminal from which it was started is gone: that is none of its business.
process.on("SIGHUP", () => {});

try {
  const holder = directory.lock();
  if (holder !== undefined) {
    tell({ type: "taken", holder });
    process.exit(0);
  }
} catch (error) {
  tell({ type: "failed", error });
  process.exit(1);
}

const left = readRuntime(directory);
let service: KeptService | undefined;
let admin: AdminServer | undefined;
let logKeeper: LogKeeper | undefined;
let failure: { readonly error: unknown } | undefined;
try {
  const { http } = options;
  const opened = await Service.open({
    http,
    log,
    stateDirectory: directory.path,
    kept: {
      runtimeDirectory: left?.directory,
      isCompatible: left?.version === version,
      adoptionMs: options.adoptionMs ?? ADOPTION_MS,
    },
    onSettled: () => service?.keep(),
    onShutdown: () => end("a shutdown was asked for"),
  });
  service = new KeptService(opened, { directory, log });
  writeRuntime(directory, { directory: opened.describe().runtimeDirectory, version });
  // What a crash has left is not taken over without a word.
  const tookOver = service.restore();
  if (tookOver) log.warn("The instance before this one has crashed: what it ran is taken over.");
  logKeeper = new LogKeeper({
    folder: new LogFolder(directory.file(LOGS_FOLDER), systemClock),
    clock: systemClock,
    log,
    running: () => opened.status().applications,
  });
  admin = await openAdminServer({ ...options.admin, service });
  const record: InstanceRecord = {
    pid: process.pid,
    start: startOfProcess(process.pid)!,
    version,
    httpUrl: opened.httpUrl,
    adminUrl: admin.url,
    runtimeDirectory: opened.describe().runtimeDirectory,
    stateDirectory: directory.path,
  };
  directory.announce(record);
  tell({ type: "ready", record, tookOver });
  log.info(`Instance ${process.pid} serves HTTP at ${record.httpUrl}, REST at ${record.adminUrl}.`);
  await ended.promise;
} catch (error) {
  failure = { error };
  if (left !== undefined) {
    // What was to be taken over runs on, and waits for another.
    directory.release();
    tell({ type: "failed", error });
    process.exit(1);
  }
} finally {
  // From now on nobody finds it; the lock stays until everything has ended.
  rmSync(directory.file("instance.json"), { force: true });
  await service?.close();
  await admin?.close();
  await logKeeper?.close();
  if (failure === undefined) service?.forget();
  forgetRuntime(directory);
  directory.release();
  if (failure !== undefined) tell({ type: "failed", error: failure.error });
  process.exit(failure === undefined ? 0 : 1);
}

/** In order the first time; at once the second, and then what is left is cleaned up from outside. */
function end(why: string): void {
  if (isEnding) {
    service?.forsake();
    process.exit(1);
  }
  isEnding = true;
  log.info(`Instance ${process.pid} ends: ${why}.`);
  ended.resolve();
}

function tell(outcome: StartOutcome): void {
  const table = specFormats();
  let bytes: Uint8Array;
  try {
    bytes = encodeValue(outcome, table);
  } catch {
    const error = outcome.type === "failed" ? outcome.error : outcome;
    bytes = encodeValue({ type: "failed", error: new HeliostatError(String(error)) } satisfies StartOutcome, table);
  }
  try {
    writeOutcome(bytes);
  } catch (error) {
    log.warn(`Nobody hears how the start went: ${(error as Error).message}`);
  }
}
