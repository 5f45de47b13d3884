import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { absoluteTarget, isFile, parseTarget } from "../../config/import-target.ts";
import { buildApplication } from "../../core/deployment/application.ts";
import type { BoundApplication } from "../../core/deployment/deployment.ts";
import type { ResolvedOptions } from "../../core/deployment/options.ts";
import type { DeploymentOptions } from "../../core/deployment/types.ts";
import { ConfigError, DeploymentFailedError, HeliostatError } from "../../core/errors.ts";
import { writeOutcome } from "../../engine/outcome-pipe.ts";
import { processState } from "../../engine/process-state.ts";
import { checkTravels } from "../check-travels.ts";
import type { BuildOutcome, BuildRequest, BuiltApplication } from "./build-request.ts";
import { findApplication, wrong } from "./find-application.ts";
import { LoadedFiles } from "./loaded-files.ts";
import { encodeValue, specFormats } from "../../formats/spec-formats.ts";

/** Entry point of a process that loads the user's module, says which application it makes, and ends. */

const NOTHING = Symbol("nothing");

const table = specFormats();
const files = new LoadedFiles(new URL(import.meta.url.endsWith(".ts") ? "../../" : "./", import.meta.url));
let captured: unknown = NOTHING;
const parked = Promise.withResolvers<undefined>();
processState.builder = {
  loadsAgain: false,
  capture(app) {
    captured = app;
    parked.resolve(undefined);
  },
};

const request = JSON.parse(await text(process.stdin)) as BuildRequest;
let outcome: BuildOutcome;
try {
  outcome = { type: "built", built: await build() };
} catch (error) {
  outcome = { type: "failed", error, files: files.paths };
}
send(outcome);
// Whatever the module has begun, such as a server of its own, ends here.
process.exit(0);

async function build(): Promise<BuiltApplication> {
  const { name, routePrefix, deployments = [], env = {} } = request;
  const app = await load();
  const overrides = new Map<string, DeploymentOptions>();
  for (const { name: deployment, ...options } of deployments) overrides.set(deployment, options);
  const spec = buildApplication(app, { name, routePrefix, overrides });
  const logging = (given: DeploymentOptions | undefined, resolved: ResolvedOptions) =>
    given?.logging === undefined
      ? {
          level: request.logging?.level ?? resolved.logging.level,
          accessLog: request.logging?.accessLog ?? resolved.logging.accessLog,
        }
      : resolved.logging;
  const codeDigest = files.digest();
  checkTravels(spec, table);
  return {
    files: files.paths,
    // The name in the application, which is another than the given one for the second deployment of that name.
    given: spec.deployments.map((each) => ({ name: each.name, ...dataOf(each.given ?? {}) })),
    spec: {
      ...spec,
      deployments: spec.deployments.map(({ given, ...each }) => ({
        ...each,
        target: undefined,
        codeDigest,
        options: { ...each.options, logging: logging(given, each.options), env: { ...env, ...each.options.env } },
      })),
    },
  };
}

async function load(): Promise<BoundApplication> {
  const { importPath, directory, args } = request;
  const { module, exportName } = parseTarget(absoluteTarget(importPath, directory));
  const shown = parseTarget(importPath).module;
  const isPath = module.startsWith("/");
  if (isPath && !isFile(module)) throw wrong(notThere(module));
  let exported: Readonly<Record<string, unknown>> | undefined;
  try {
    const url = isPath ? pathToFileURL(resolve(module)).href : module;
    exported = await Promise.race([import(url) as Promise<Record<string, unknown>>, parked.promise]);
  } catch (error) {
    if (!isPath && (error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND")
      throw wrong(
        `There is no file ${module} in ${directory}, and no package of this name. ${nearFile(resolve(directory, module)) ?? "Write a path, such as ./app.ts, or install the package."}`,
      );
    throw notLoaded(error, shown);
  }
  if (exported !== undefined) return findApplication(exported, { module: shown, exportName, args });
  // A script that runs its application itself says by that which it is.
  if (exportName !== undefined)
    throw wrong(
      `${shown} calls serve.run() before its exports can be seen. Move that call to another module, or leave out ":${exportName}".`,
    );
  return findApplication({ default: captured }, { module: shown, exportName: undefined, args });
}

function notThere(path: string): string {
  const what = existsSync(path) ? `${path} is a folder, not a module.` : `There is no module ${path}.`;
  return [what, nearFile(path)].filter((each) => each !== undefined).join(" ");
}

/** Python's habit is to leave the extension out. */
function nearFile(path: string): string | undefined {
  const found = [".ts", ".js", ".mts", ".mjs", "/app.ts", "/app.js"].find((end) => isFile(`${path}${end}`));
  return found === undefined ? undefined : `Did you mean ${path}${found}?`;
}

/** The user's own error first, as they would see it if they ran the module themselves. */
function notLoaded(error: unknown, module: string): DeploymentFailedError {
  const shown = error instanceof Error ? (error.stack ?? `${error.name}: ${error.message}`) : String(error);
  return new DeploymentFailedError(`${shown}\n(while ${module} was loaded)`, { deployment: "", cause: error });
}

/** Options that a configuration can hold. */
function dataOf(options: DeploymentOptions): DeploymentOptions {
  return JSON.parse(
    JSON.stringify({ ...options, name: undefined, module: undefined }, (_key, value: unknown) =>
      typeof value === "function" ? undefined : value,
    ),
  ) as DeploymentOptions;
}

function send(what: BuildOutcome): void {
  let bytes: Uint8Array;
  try {
    bytes = encodeValue(what, table);
  } catch (error) {
    const message = what.type === "failed" ? String(what.error) : (error as Error).message;
    const told = error instanceof ConfigError ? error : new HeliostatError(message);
    bytes = encodeValue({ type: "failed", error: told, files: files.paths } satisfies BuildOutcome, table);
  }
  writeOutcome(bytes);
}
