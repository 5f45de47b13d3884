import type { Command } from "commander";
import { addressOption } from "../admin-address.ts";
import { AdminClient } from "../admin-client.ts";
import { CommandError } from "../failure.ts";
import { say } from "../terminal.ts";

export function addScale(root: Command): void {
  root
    .command("scale")
    .description("Change how many replicas a deployment has.")
    .argument("<app/deployment>")
    .argument("<replicas>")
    .addOption(addressOption())
    .action(scale);
}

async function scale(target: string, count: string, { address }: { readonly address?: string }): Promise<void> {
  const [app, deployment, ...more] = target.split("/");
  if (!app || !deployment || more.length > 0)
    throw new CommandError(`"${target}" must be APP/DEPLOYMENT, such as default/Model.`, 2);
  if (!/^[1-9]\d*$/.test(count))
    throw new CommandError(`The number of replicas must be an integer of at least 1, not "${count}".`, 2);
  const client = new AdminClient(address);
  await client.scale(app, deployment, Number(count));
  say(`${app}/${deployment} goes to ${count === "1" ? "1 replica" : `${count} replicas`}.`);
}
