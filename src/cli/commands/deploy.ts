import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { addressOption } from "../admin-address.ts";
import { AdminClient } from "../admin-client.ts";
import { CommandError } from "../failure.ts";
import { StatusLines } from "../status-lines.ts";
import { addTarget, readTarget, type TargetOptions } from "../target.ts";
import { say, warn } from "../terminal.ts";

interface DeployOptions extends TargetOptions {
  readonly wait?: true;
  readonly address?: string;
}

const POLL_MS = 200;

export function addDeploy(root: Command): void {
  addTarget(root.command("deploy"))
    .description("Hand a configuration, or one application, to an instance that runs.")
    .option("-d, --app-dir <dir>", "folder from which the target is found", ".")
    .option("--wait", "until every application is RUNNING, or one has failed")
    .addOption(addressOption())
    .action(deploy);
}

async function deploy(target: string, words: readonly string[], options: DeployOptions): Promise<void> {
  const client = new AdminClient(options.address);
  const { kind, config, warnings } = await readTarget(target, words, options);
  for (const warning of warnings) warn(warning);
  const more = await (kind === "file" ? client.deployAll(config) : client.deployOne(config.applications[0]!));
  for (const warning of more) warn(warning);
  const names = config.applications.map(({ name }) => name);
  if (options.wait === true) await untilRunning(client, names);
  else
    say(
      `${names.length === 1 ? `Application "${names[0]}"` : `A configuration of ${names.length} applications`} was handed to ${client.address}. To see how it goes: heliostat status`,
    );
}

async function untilRunning(client: AdminClient, names: readonly string[]): Promise<void> {
  const lines = new StatusLines();
  for (;;) {
    const report = await client.status();
    lines.update(report, names);
    let isDone = true;
    for (const name of names) {
      const application = report.applications[name];
      if (application === undefined || application.status === "DELETING")
        throw new CommandError(`Application "${name}" was deleted before it ran.`);
      if (application.status === "DEPLOY_FAILED")
        throw new CommandError(`Application "${name}" could not be deployed: ${application.message}`);
      if (application.status !== "RUNNING") isDone = false;
    }
    if (isDone) return;
    await sleep(POLL_MS);
  }
}
