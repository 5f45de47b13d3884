import type { Command } from "commander";
import { addressOption } from "../admin-address.ts";
import { AdminClient } from "../admin-client.ts";
import { CommandError } from "../failure.ts";
import { formatOption, formatted, type OutputFormat } from "../output-format.ts";
import { print } from "../terminal.ts";

interface ConfigOptions {
  readonly name?: string;
  readonly format: OutputFormat;
  readonly address?: string;
}

export function addConfig(root: Command): void {
  root
    .command("config")
    .description("Print the configuration in force; deploy takes it back.")
    .option("-n, --name <name>", "only this application")
    .addOption(formatOption())
    .addOption(addressOption())
    .action(config);
}

async function config({ name, format, address }: ConfigOptions): Promise<void> {
  const client = new AdminClient(address);
  const all = await client.config();
  if (name === undefined) {
    print(await formatted(all, format));
    return;
  }
  const applications = all.applications.filter((application) => application.name === name);
  if (applications.length === 0) throw new CommandError(`There is no application "${name}" at ${client.address}.`);
  // A configuration too, so that deploy takes it.
  print(await formatted({ applications }, format));
}
