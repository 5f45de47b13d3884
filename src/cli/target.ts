import { resolve } from "node:path";
import type { Command } from "commander";
import type { CheckedConfig } from "../config/check-config.ts";
import { CommandError } from "./failure.ts";

export interface TargetOptions {
  readonly appDir: string;
  readonly name: string;
  readonly routePrefix: string;
}

/** What a command is given to deploy: a whole configuration, or one application of which one is made. */
export interface Target {
  readonly kind: "file" | "application";
  readonly config: CheckedConfig;
  readonly warnings: readonly string[];
}

/** What `run` and `deploy` are given. */
export function addTarget(command: Command): Command {
  return command
    .argument("<target>", "MODULE[:EXPORT], such as ./app.ts:app, or a configuration (.yaml, .json, .config.ts)")
    .argument("[arguments...]", "KEY=VALUE for a function that builds the application")
    .option("--name <name>", "name of the application", "default")
    .option("--route-prefix <path>", "where its HTTP paths begin", "/");
}

/** Reads what `run` and `deploy` are given. @throws {ConfigError} and {CommandError} for what is wrong, before anything is changed. */
export async function readTarget(target: string, words: readonly string[], options: TargetOptions): Promise<Target> {
  const args = parseArguments(words);
  // Loaded only here: what reads configurations takes as long to load as everything else together.
  const [{ checkConfig }, { isConfigFile, readConfigFile }, { absoluteTarget }] = await Promise.all([
    import("../config/check-config.ts"),
    import("../config/config-file.ts"),
    import("../config/import-target.ts"),
  ]);
  if (isConfigFile(target)) {
    if (words.length > 0)
      throw new CommandError(
        "Arguments can only be passed to an application builder function. In a configuration they are called args.",
        2,
      );
    return { kind: "file", ...(await readConfigFile(resolve(options.appDir, target))) };
  }
  const { name, routePrefix } = options;
  const application = {
    name,
    // On a command line null can only be a word.
    routePrefix: routePrefix === "null" || routePrefix === "" ? null : routePrefix,
    importPath: absoluteTarget(target, resolve(options.appDir)),
    ...(words.length === 0 ? {} : { args }),
  };
  return { kind: "application", ...checkConfig({ applications: [application] }) };
}

function parseArguments(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf("=");
      if (at < 1) throw new CommandError(`"${word}" is no argument for an application: write KEY=VALUE.`, 2);
      return [word.slice(0, at), word.slice(at + 1)];
    }),
  );
}

/** A port on the command line. */
export function portOf(word: string): number {
  const port = Number(word);
  if (!/^\d+$/.test(word) || port > 65_535)
    throw new CommandError(`"${word}" is no port: write a number from 0 to 65535.`, 2);
  return port;
}

/** A number of processes on the command line. */
export function workersOf(word: string): number {
  if (!/^[1-9]\d*$/.test(word)) throw new CommandError(`"${word}" is no number of processes: write 1 or more.`, 2);
  return Number(word);
}
