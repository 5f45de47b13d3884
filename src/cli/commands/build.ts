import { writeFile } from "node:fs/promises";
import { dirname, isAbsolute, relative, resolve } from "node:path";
import type { Command } from "commander";
import type { BuildRequest } from "../../app/builder/build-request.ts";
import type { ApplicationConfig, DeploymentOverride } from "../../config/check-config.ts";
import { CommandError } from "../failure.ts";
import { formatOption, formatted, type OutputFormat } from "../output-format.ts";
import { print, say } from "../terminal.ts";

interface BuildOptions {
  readonly output?: string;
  readonly appDir: string;
  readonly format: OutputFormat;
}

export function addBuild(root: Command): void {
  root
    .command("build")
    .description("Write a configuration with every deployment of applications and its options; nothing is started.")
    .argument("<targets...>", "MODULE[:EXPORT], such as ./app.ts:app")
    .option("-o, --output <file>", "write to this file instead of stdout")
    .option("-d, --app-dir <dir>", "folder from which targets are found", ".")
    .addOption(formatOption())
    .action(writeConfig);
}

async function writeConfig(targets: readonly string[], { output, appDir, format }: BuildOptions): Promise<void> {
  const { isConfigFile } = await import("../../config/config-file.ts");
  const directory = resolve(appDir);
  // Paths in a configuration are relative to its file; what goes to stdout is expected to be kept here.
  const place = output === undefined ? process.cwd() : dirname(resolve(output));
  const applications: ApplicationConfig[] = [];
  for (const [i, target] of targets.entries()) {
    if (isConfigFile(target))
      throw new CommandError(`${target} is a configuration already. Write MODULE[:EXPORT], such as ./app.ts:app.`, 2);
    const isOnly = targets.length === 1;
    const name = isOnly ? "default" : `app${i + 1}`;
    const routePrefix = isOnly ? "/" : `/${name}`;
    const importPath = await pathFrom(place, target, directory);
    const deployments = await deploymentsOf({ name, routePrefix, importPath: target, directory });
    applications.push({ name, routePrefix, importPath, deployments });
  }
  const text = await formatted({ applications }, format);
  if (output === undefined) {
    print(text);
    return;
  }
  try {
    await writeFile(output, text);
  } catch (error) {
    throw new CommandError(`${output} cannot be written: ${(error as Error).message}.`);
  }
  say(`Wrote ${output}.`);
}

/** The deployments of an application, with the options that its code gives. */
async function deploymentsOf(request: BuildRequest): Promise<DeploymentOverride[]> {
  const { build, BuildFailure } = await import("../../app/builder/builder.ts");
  const outcome = await build(request);
  if (outcome instanceof BuildFailure) throw outcome.error;
  return outcome.given.map(withoutEmpty);
}

/** Of a group of options whose only one was a function, nothing is left that a file could say. */
function withoutEmpty(options: DeploymentOverride): DeploymentOverride {
  return Object.fromEntries(
    Object.entries(options).filter(
      ([key, value]) =>
        key === "userConfig" || typeof value !== "object" || value === null || Object.keys(value as object).length > 0,
    ),
  ) as unknown as DeploymentOverride;
}

/** A target as a configuration in another folder has to call it; a package is called the same everywhere. */
async function pathFrom(place: string, target: string, directory: string): Promise<string> {
  const { absoluteTarget, parseTarget } = await import("../../config/import-target.ts");
  const { module } = parseTarget(target);
  const absolute = absoluteTarget(target, directory);
  if (isAbsolute(module) || parseTarget(absolute).module !== resolve(directory, module)) return target;
  const path = relative(place, absolute);
  return path.startsWith("../") ? path : `./${path}`;
}
