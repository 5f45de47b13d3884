import { Command, CommanderError } from "commander";
import { version } from "../instance/version.ts";
import { addRun } from "./commands/run.ts";
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
  for (const command of [root, ...root.commands]) command.exitOverride();
  return root;
}

/** Runs one command; the process ends by itself when it is done. */
export async function main(args: readonly string[]): Promise<void> {
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
