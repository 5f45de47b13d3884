import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { addressOption } from "../admin-address.ts";
import { AdminClient, type StatusReport } from "../admin-client.ts";
import { CommandError } from "../failure.ts";
import { formatOption, formatted, type OutputFormat } from "../output-format.ts";
import { isTerminal, print } from "../terminal.ts";

interface StatusOptions {
  readonly name?: string;
  readonly format: OutputFormat;
  readonly watch?: boolean;
  readonly address?: string;
}

const WATCH_MS = 1_000;
const CLEAR = "\u001B[H\u001B[2J\u001B[3J";

export function addStatus(root: Command): void {
  root
    .command("status")
    .description("Print what an instance runs, and how it is.")
    .option("-n, --name <name>", "only this application")
    .addOption(formatOption())
    .option("--watch", "again whenever it changes, until it is interrupted")
    .addOption(addressOption())
    .action(status);
}

async function status({ name, format, watch = false, address }: StatusOptions): Promise<void> {
  const client = new AdminClient(address);
  const show = async (): Promise<string> => formatted(selected(await client.status(), client.address, name), format);
  if (!watch) {
    print(await show());
    return;
  }
  process.once("SIGINT", () => process.exit(0));
  const isLive = isTerminal(process.stdout);
  for (let shown = ""; ; await sleep(WATCH_MS)) {
    const text = await show();
    if (text === shown) continue;
    // Elsewhere it is a stream of documents.
    print(isLive ? CLEAR + text : shown === "" || format === "json" ? text : `---\n${text}`);
    shown = text;
  }
}

/** `ServeStatus`, or one application of it: without what REST tells besides. */
function selected({ applications, proxies }: StatusReport, address: string, name: string | undefined): object {
  const plain = Object.fromEntries(
    Object.entries(applications).map(([key, application]) => {
      const { name: _, source: __, deployedConfig: ___, ...rest } = application;
      return [key, rest];
    }),
  );
  if (name === undefined) return { applications: plain, proxies };
  if (!Object.hasOwn(plain, name)) throw new CommandError(`There is no application "${name}" at ${address}.`);
  return plain[name]!;
}
