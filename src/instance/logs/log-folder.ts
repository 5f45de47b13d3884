import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { LogQuery } from "../../admin/admin-service.ts";
import type { Clock } from "../../core/contracts/clock.ts";
import type { ServeStatus } from "../../core/serve-types.ts";
import { outputFolder, readOutputName } from "../../engine/process/output-file.ts";
import { isAtLeast } from "../../observe/log.ts";
import { LogFile, type IsWanted } from "./log-file.ts";
import { merged, type DatedLine } from "./log-line.ts";

/** Where logs are in the state directory: a folder for each application, with a file for each replica. */
export const LOGS_FOLDER = "logs";
const OWN_FILE = "instance.log";
/** What the instance itself writes, in the state directory. */
export const LOG_FILE = `${LOGS_FOLDER}/${OWN_FILE}`;

/** How often files that are followed are looked at. */
const LOOK_MS = 100;

/** The output of one replica, which may have ended long ago. */
export interface ReplicaLog {
  readonly path: string;
  readonly replicaId: string;
}

/** What an instance and its replicas have written. */
export class LogFolder {
  readonly path: string;
  readonly #clock: Clock;

  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#clock = clock;
  }

  /** What the instance itself writes. */
  get ownPath(): string {
    return join(this.path, OWN_FILE);
  }

  /** Applications of which there is something. */
  apps(): string[] {
    return entriesOf(this.path).flatMap((entry) => (entry.isDirectory() ? (readOutputName(entry.name) ?? []) : []));
  }

  replicas(app: string): ReplicaLog[] {
    const folder = outputFolder(this.path, app);
    return entriesOf(folder).flatMap(({ name }) => {
      const replicaId = name.endsWith(".log") ? readOutputName(name.slice(0, -".log".length)) : undefined;
      return replicaId === undefined ? [] : { path: join(folder, name), replicaId };
    });
  }

  /** Why there can be nothing that is asked for: a name that neither runs nor has written. */
  missing({ app, deployment, replica }: LogQuery, running: ServeStatus["applications"] = {}): string | undefined {
    const apps = new Set([...Object.keys(running), ...this.apps()]);
    if (app !== undefined && !apps.has(app)) return `There is no application "${app}". ${list("There are", apps)}`;
    const here = app === undefined ? apps : [app];
    const deployments = new Map<string, Set<string>>();
    const note = (name: string, replicaIds: readonly string[]): void => {
      deployments.set(name, new Set([...(deployments.get(name) ?? []), ...replicaIds]));
    };
    for (const each of here) {
      for (const [name, { replicas }] of Object.entries(running[each]?.deployments ?? {}))
        note(
          name,
          replicas.map(({ replicaId }) => replicaId),
        );
      for (const { replicaId } of this.replicas(each)) note(deploymentOf(replicaId), [replicaId]);
    }
    if (deployment !== undefined && !deployments.has(deployment))
      return `Application "${app}" has no deployment "${deployment}". ${list("It has", deployments.keys())}`;
    const replicaIds = [...deployments].flatMap(([name, ids]) =>
      deployment === undefined || name === deployment ? [...ids] : [],
    );
    if (replica !== undefined && !replicaIds.includes(replica))
      return `There is no replica "${replica}". ${list("There are", replicaIds)}`;
    return undefined;
  }

  /** The newest lines, several at a time; with `follow` also what comes, until `signal` aborts. */
  async *lines(query: LogQuery, signal: AbortSignal): AsyncGenerator<string> {
    const { lines: count, follow } = query;
    const isWanted: IsWanted = ({ level }) => isAtLeast(level, query.level);
    const files = this.#open(query, new Map());
    const newest = await Promise.all([...files.values()].map((file) => file.newest(count, isWanted, !follow)));
    const shown = merged(newest);
    yield* textOf(shown.slice(Math.max(0, shown.length - count)));
    while (follow && !signal.aborted) {
      if (![...files.values()].some(({ isBehind }) => isBehind)) await pause(this.#clock, signal);
      this.#open(query, files);
      yield* textOf(merged(await Promise.all([...files.values()].map((file) => file.next(isWanted)))));
    }
  }

  /** Adds the files that have come since. Those that are gone stay: the end of them may not be read. */
  #open({ app, deployment, replica }: LogQuery, files: Map<string, LogFile>): Map<string, LogFile> {
    const add = (path: string, replicaId?: string): void => {
      if (!files.has(path)) files.set(path, new LogFile(path, replicaId));
    };
    if (app === undefined && replica === undefined) add(this.ownPath);
    for (const { path, replicaId } of (app === undefined ? this.apps() : [app]).flatMap((each) =>
      this.replicas(each),
    )) {
      if (deployment !== undefined && deploymentOf(replicaId) !== deployment) continue;
      if (replica === undefined || replicaId === replica) add(path, replicaId);
    }
    return files;
  }
}

function deploymentOf(replicaId: string): string {
  const at = replicaId.lastIndexOf("#");
  return at === -1 ? replicaId : replicaId.slice(0, at);
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** @returns one text, or none where there are no lines. */
function textOf(lines: readonly DatedLine[]): string[] {
  return lines.length === 0 ? [] : [lines.map(({ text }) => `${text}\n`).join("")];
}

function list(what: string, names: Iterable<string>): string {
  return `${what}: ${
    [...names]
      .toSorted()
      .map((name) => `"${name}"`)
      .join(", ") || "none"
  }.`;
}

function pause(clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = clock.setTimer(LOOK_MS, end);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}
