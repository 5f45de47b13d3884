import { existsSync } from "node:fs";
import type { Command } from "commander";
import type { LogQuery } from "../../admin/admin-service.ts";
import { StateDirectory } from "../../client/state-directory.ts";
import { LOG_LEVELS, type LogLevel } from "../../observe/log.ts";
import { addressOption } from "../admin-address.ts";
import { AdminClient } from "../admin-client.ts";
import { CommandError } from "../failure.ts";
import { printAll, say } from "../terminal.ts";

interface LogsFlags {
  readonly follow?: boolean;
  readonly lines: number;
  readonly replica?: string;
  readonly level: LogLevel;
  readonly address?: string;
}

export function addLogs(root: Command): void {
  root
    .command("logs")
    .description("Show what an instance and its replicas have written.")
    .argument("[of]", "APP[/DEPLOYMENT]: only what its replicas have written")
    .option("-f, --follow", "go on with what comes")
    .option("-n, --lines <count>", "how many of the newest lines", linesOf, 1_000)
    .option("--replica <id>", "only what this replica has written")
    .option("--level <level>", `only lines from this level on: ${LOG_LEVELS.join(", ")}`, levelOf, "debug" as const)
    .addOption(addressOption())
    .action(logs);
}

async function logs(of: string | undefined, { address, follow = false, ...flags }: LogsFlags): Promise<void> {
  const [app, deployment] = partsOf(of);
  const query: LogQuery = { app, deployment, replica: flags.replica, level: flags.level, lines: flags.lines, follow };
  const client = new AdminClient(address);
  if ((await isDead(client, address)) && (await showKept(query))) return;
  const ended = new AbortController();
  const end = (): void => ended.abort();
  process.once("SIGINT", end).once("SIGTERM", end);
  await printAll(client.logs(query, ended.signal));
  process.removeListener("SIGINT", end).removeListener("SIGTERM", end);
  if (follow && !ended.signal.aborted) say(`The instance at ${client.address} has ended.`);
}

/** Whether the instance of this machine is meant, and none runs. */
async function isDead(client: AdminClient, address: string | undefined): Promise<boolean> {
  if (address !== undefined && address !== "") return false;
  return new StateDirectory().record() === undefined && !(await client.answers());
}

/** Shows what an instance that has ended has left. @returns whether there was one */
async function showKept(query: LogQuery): Promise<boolean> {
  const [{ LogFolder, LOGS_FOLDER }, { systemClock }] = await Promise.all([
    import("../../instance/logs/log-folder.ts"),
    import("../../engine/system-clock.ts"),
  ]);
  const folder = new LogFolder(new StateDirectory().file(LOGS_FOLDER), systemClock);
  if (!existsSync(folder.ownPath)) return false;
  const missing = folder.missing(query);
  if (missing !== undefined) throw new CommandError(missing);
  say(`No instance runs. This is what the last one has left in ${folder.path}:`);
  await printAll(folder.lines({ ...query, follow: false }, new AbortController().signal));
  return true;
}

function partsOf(of: string | undefined): [app: string | undefined, deployment: string | undefined] {
  const [, app, deployment] = /^([^/]+)(?:\/(.+))?$/.exec(of ?? "") ?? [];
  if (of !== undefined && app === undefined)
    throw new CommandError(`"${of}" must be APP or APP/DEPLOYMENT, such as default/Model.`, 2);
  return [app, deployment];
}

function linesOf(word: string): number {
  if (!/^\d{1,6}$/.test(word) || Number(word) > 100_000)
    throw new CommandError(`The number of lines must be an integer from 0 to 100000, not "${word}".`, 2);
  return Number(word);
}

function levelOf(word: string): LogLevel {
  const level = LOG_LEVELS.find((each) => each === word);
  if (level === undefined) throw new CommandError(`"${word}" is no level: write one of ${LOG_LEVELS.join(", ")}.`, 2);
  return level;
}
