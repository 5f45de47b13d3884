import { createInterface } from "node:readline/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { StateDirectory } from "../../client/state-directory.ts";
import { addressOption } from "../admin-address.ts";
import { AdminClient } from "../admin-client.ts";
import { CommandError } from "../failure.ts";
import { isTerminal, say } from "../terminal.ts";

interface ShutdownOptions {
  readonly yes?: boolean;
  readonly address?: string;
}

const POLL_MS = 50;

export function addShutdown(root: Command): void {
  root
    .command("shutdown")
    .description("Delete all applications and end the instance.")
    .option("-y, --yes", "do not ask")
    .addOption(addressOption())
    .action(shutdown);
}

async function shutdown({ yes = false, address }: ShutdownOptions): Promise<void> {
  if (!yes && !isTerminal(process.stdin))
    throw new CommandError(
      "Nobody can be asked: stdin is no terminal. To shut down without being asked: heliostat shutdown -y",
      2,
    );
  const client = new AdminClient(address);
  const { pid, stateDirectory } = await client.describe();
  if (!yes && !(await isConfirmed(client.address))) throw new CommandError("Nothing was shut down.");
  await client.shutdown();
  say(`The instance at ${client.address} finishes what it has accepted.`);
  while (await client.answers()) await sleep(POLL_MS);
  // On this machine its process is seen too: it ends after it has stopped to answer.
  if (stateDirectory !== undefined) {
    const directory = new StateDirectory(stateDirectory);
    while (directory.holder()?.pid === pid) await sleep(POLL_MS);
  }
  say("It is shut down.");
}

async function isConfirmed(address: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // The end of input is no answer, and leaves the question open for ever.
  const closed = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
  try {
    const question = `Delete all applications and end the instance at ${address}? [y/N] `;
    return /^y(es)?$/i.test((await Promise.race([lines.question(question), closed])).trim());
  } finally {
    lines.close();
  }
}
