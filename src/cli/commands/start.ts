import type { Command } from "commander";
import { StateDirectory, type InstanceRecord } from "../../client/state-directory.ts";
import { AdminClient } from "../admin-client.ts";
import { CommandError } from "../failure.ts";
import { portOf, workersOf } from "../target.ts";
import { say } from "../terminal.ts";

interface StartFlags {
  readonly httpHost: string;
  readonly httpPort: number;
  readonly httpWorkers?: number;
  readonly adminHost: string;
  readonly adminPort: number;
  readonly token?: string;
  readonly stateDir?: string;
  readonly block?: true;
}

/** How often `--block` looks whether the instance still runs. */
const LOOK_MS = 500;

export function addStart(root: Command): void {
  root
    .command("start")
    .description("Start an instance that outlives this command.")
    .option("--http-host <host>", "address to serve HTTP on", "127.0.0.1")
    .option("--http-port <port>", "port to serve HTTP on; 0: any free one", portOf, 8000)
    .option("--http-workers <number>", "processes that serve HTTP on that port (default: 1)", workersOf)
    .option("--admin-host <host>", "address of the REST interface", "127.0.0.1")
    .option("--admin-port <port>", "port of the REST interface; 0: any free one", portOf, 8267)
    .option("--token <token>", "who steers the instance must send it (default: $HELIOSTAT_TOKEN)")
    .option(
      "--state-dir <dir>",
      "folder by which the instance is found (default: $HELIOSTAT_STATE_DIR, else the user's)",
    )
    .option("--block", "stay until the instance ends; Ctrl-C ends it")
    .action(start);
}

async function start({
  httpHost,
  httpPort,
  httpWorkers,
  adminHost,
  adminPort,
  stateDir,
  block,
  ...flags
}: StartFlags): Promise<void> {
  // Loaded only here: other commands need none of it.
  const [{ isLoopbackName }, { startInstance }] = await Promise.all([
    import("../../admin/guard.ts"),
    import("../../instance/start-instance.ts"),
  ]);
  const token = (flags.token ?? process.env["HELIOSTAT_TOKEN"]) || undefined;
  if (token === undefined && !isLoopbackName(adminHost))
    throw new CommandError(
      `Whoever reaches ${adminHost} could run code on this machine: give --token too, or leave out --admin-host.`,
      2,
    );
  const { record, isNew, tookOver } = await startInstance({
    stateDirectory: stateDir,
    http: { host: httpHost, port: httpPort, ...(httpWorkers === undefined ? {} : { workers: httpWorkers }) },
    admin: { host: adminHost, port: adminPort, token },
  });
  if (!isNew) say(`An instance runs already (process ${record.pid}): nothing was changed.`);
  else if (tookOver) say("An instance has been started, and has taken over what the one before it ran.");
  else say("An instance has been started.");
  say(`HTTP at ${record.httpUrl}`);
  if (record.adminUrl !== undefined) say(`REST interface at ${record.adminUrl}`);
  if (block === true) await stay(record, { stateDir, token });
}

/** Waits for the end of the instance, and brings it about at a signal. */
async function stay(
  record: InstanceRecord,
  { stateDir, token }: { stateDir: string | undefined; token: string | undefined },
): Promise<void> {
  const directory = new StateDirectory(stateDir);
  let isAsked = false;
  const end = (): void => {
    if (isAsked) process.exit(1);
    isAsked = true;
    say("Stopping …");
    const env = token === undefined ? process.env : { ...process.env, HELIOSTAT_TOKEN: token };
    new AdminClient(record.adminUrl, env).shutdown().catch(() => {});
  };
  process.on("SIGINT", end).on("SIGTERM", end);
  while (directory.holder()?.pid === record.pid) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  process.off("SIGINT", end).off("SIGTERM", end);
  if (!isAsked) say("The instance has ended.");
}
