import { createReadStream, existsSync, readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { basename, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Command } from "commander";
import { addressOption } from "../admin-address.ts";
import { AdminClient } from "../admin-client.ts";
import { CommandError } from "../failure.ts";

interface LogsFlags {
  readonly follow?: true;
  readonly replica?: string;
  readonly level?: Level;
  readonly address?: string;
}

const LEVELS = ["debug", "info", "warn", "error"] as const;
type Level = (typeof LEVELS)[number];
/** How often a followed file is looked at. */
const LOOK_MS = 100;
/** A line of a replica: `Model#abc123 warn: …`. */
const LINE = /^(\S+?)(#\S+)? (debug|info|warn|error): /;

export function addLogs(root: Command): void {
  root
    .command("logs")
    .description("Show what an instance and its replicas have written.")
    .argument("[of]", "APP[/DEPLOYMENT]: only lines of its replicas")
    .option("-f, --follow", "go on with what comes")
    .option("--replica <id>", "only lines of this replica")
    .option("--level <level>", `only lines from this level on: ${LEVELS.join(", ")}`, levelOf)
    .addOption(addressOption())
    .action(logs);
}

async function logs(of: string | undefined, { follow, replica, level, address }: LogsFlags): Promise<void> {
  const client = new AdminClient(address);
  const { stateDirectory } = await client.describe();
  if (stateDirectory === undefined)
    throw new CommandError(
      `What runs at ${client.address} writes to the terminal of heliostat run, and keeps no logs.`,
    );
  const { LOG_FILE, LOGS_FOLDER } = await import("../../instance/logs/log-folder.ts");
  const file = join(stateDirectory, LOG_FILE);
  if (!existsSync(file)) throw new CommandError(`There is no ${file}: the logs of an instance are on its own machine.`);
  const replicas = of === undefined ? undefined : await replicasOf(client, of);
  const isWanted = (line: string, writer: string): boolean => {
    const [, name = "", suffix = "", at = "info"] = LINE.exec(line) ?? [];
    const who = writer === "instance" ? name + suffix : writer;
    if (replica !== undefined && who !== replica) return false;
    if (replicas !== undefined && !replicas.has(who)) return false;
    return level === undefined || LEVELS.indexOf(at as Level) >= LEVELS.indexOf(level);
  };
  const ended = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => ended.abort());
  const positions = new Map<string, number>();
  do {
    for (const each of filesIn(join(stateDirectory, LOGS_FOLDER))) {
      const writer = decodeURIComponent(basename(each, ".log"));
      positions.set(each, await show(each, positions.get(each) ?? 0, (line) => isWanted(line, writer)));
    }
    if (follow === true) await wait(LOOK_MS, undefined, { signal: ended.signal }).catch(() => {});
  } while (follow === true && !ended.signal.aborted);
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".log"))
    .toSorted()
    .map((name) => join(folder, name));
}

/** @returns where it has read to: the end of the last whole line. */
async function show(file: string, start: number, isWanted: (line: string) => boolean): Promise<number> {
  let position = start;
  const lines = createInterface({ input: createReadStream(file, { start }), crlfDelay: Infinity });
  for await (const line of lines) {
    position += Buffer.byteLength(line) + 1;
    if (isWanted(line)) process.stdout.write(`${line}\n`);
  }
  return position;
}

/** Ids of the replicas that run now, of an application or one of its deployments. */
async function replicasOf(client: AdminClient, of: string): Promise<ReadonlySet<string>> {
  const [app = "", deployment] = of.split("/");
  const { applications } = await client.status();
  const deployments = applications[app]?.deployments;
  if (deployments === undefined) throw new CommandError(`There is no application "${app}" at ${client.address}.`);
  if (deployment !== undefined && !(deployment in deployments))
    throw new CommandError(`Application "${app}" has no deployment "${deployment}".`);
  const wanted = deployment === undefined ? Object.values(deployments) : [deployments[deployment]!];
  return new Set(wanted.flatMap(({ replicas }) => replicas.map(({ replicaId }) => replicaId)));
}

function levelOf(word: string): Level {
  if (!LEVELS.includes(word as Level))
    throw new CommandError(`"${word}" is no level: write one of ${LEVELS.join(", ")}.`, 2);
  return word as Level;
}
