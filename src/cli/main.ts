import { Command, CommanderError } from "commander";
import { version } from "../instance/version.ts";
import { addBuild } from "./commands/build.ts";
import { addCall } from "./commands/call.ts";
import { addConfig } from "./commands/config.ts";
import { addDelete } from "./commands/delete.ts";
import { addDeploy } from "./commands/deploy.ts";
import { addInit } from "./commands/init.ts";
import { addLogs } from "./commands/logs.ts";
import { addRun } from "./commands/run.ts";
import { addScale } from "./commands/scale.ts";
import { addShutdown } from "./commands/shutdown.ts";
import { addStart } from "./commands/start.ts";
import { addStatus } from "./commands/status.ts";
import { exitCodeOf, textOf } from "./failure.ts";
import { complain } from "./terminal.ts";

/** The whole command line. */
export function program(): Command {
  const root = new Command("heliostat")
    .description("Serve and compose models and heavy code from Node.js.")
    .version(version)
    .showHelpAfterError("(heliostat --help lists the commands)")
    .configureOutput({ outputError: (text, write) => write(text) });
  addRun(root);
  addStart(root);
  addDeploy(root);
  addStatus(root);
  addConfig(root);
  addScale(root);
  addDelete(root);
  addCall(root);
  addLogs(root);
  addShutdown(root);
  addBuild(root);
  addInit(root);
  for (const command of [root, ...root.commands]) command.exitOverride();
  return root;
}

/** Runs one command; the process ends by itself when it is done. */
export async function main(args: readonly string[]): Promise<void> {
  // Whoever reads may stop reading, as `head` does.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
  try {
    await program().parseAsync(args, { from: "user" });
  } catch (error) {
    // Help and version are no failures; what is wrong with the command line was said already.
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    complain(textOf(error));
    process.exitCode = exitCodeOf(error);
  }
}
