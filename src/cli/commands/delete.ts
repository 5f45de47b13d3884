import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { addressOption } from "../admin-address.ts";
import { AdminClient } from "../admin-client.ts";
import { say } from "../terminal.ts";

const POLL_MS = 100;

export function addDelete(root: Command): void {
  root
    .command("delete")
    .description("Let an application finish, and stop it.")
    .argument("<app>")
    .addOption(addressOption())
    .action(remove);
}

async function remove(app: string, { address }: { readonly address?: string }): Promise<void> {
  const client = new AdminClient(address);
  await client.delete(app);
  // Another of its name may have been deployed meanwhile, which is none of ours.
  while ((await client.status()).applications[app]?.status === "DELETING") await sleep(POLL_MS);
  say(`Application "${app}" is gone.`);
}
