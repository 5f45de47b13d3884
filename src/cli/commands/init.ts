import { lstat, mkdir, writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import type { Command } from "commander";
import { CommandError } from "../failure.ts";
import { projectFiles } from "../project-files.ts";
import { say } from "../terminal.ts";

export function addInit(root: Command): void {
  root
    .command("init")
    .description("Write a small project that can be run and tested at once.")
    .argument("[dir]", "its folder", ".")
    .action(init);
}

async function init(dir: string): Promise<void> {
  const directory = resolve(dir);
  const files = Object.entries(projectFiles(directory));
  // All are looked for before one is written.
  const known = [];
  for (const [name] of files) if (await exists(join(directory, name))) known.push(relative("", join(directory, name)));
  if (known.length > 0)
    throw new CommandError(
      `${known.join(", ")} ${known.length === 1 ? "exists" : "exist"} already; nothing was written.`,
    );
  try {
    await mkdir(directory, { recursive: true });
    for (const [name, text] of files) await writeFile(join(directory, name), text, { flag: "wx" });
  } catch (error) {
    throw new CommandError(`The project cannot be written to ${directory}: ${(error as Error).message}.`);
  }
  const enter = relative("", directory) === "" ? "" : `  cd ${relative("", directory)}\n`;
  say(`Wrote ${files.map(([name]) => name).join(", ")}. To run it:\n\n${enter}  npm install\n  npm start\n`);
}

async function exists(path: string): Promise<boolean> {
  try {
    // A link that leads nowhere is in the way too.
    await lstat(path);
    return true;
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
