import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { HttpOptions } from "../core/serve-types.ts";
import { checkConfig, type CheckedConfig, type CheckResult } from "./check-config.ts";
import { parseConfig } from "./config-text.ts";
import { absoluteTarget } from "./import-target.ts";
import { InvalidConfigError } from "./problem.ts";

const DATA = /\.(ya?ml|json)$/;
const MODULE = /\.config\.[cm]?[jt]s$/;

/** Whether a name is that of a configuration and not of a module with an application. */
export function isConfigFile(name: string): boolean {
  return DATA.test(name) || MODULE.test(name);
}

/**
 * Reads and checks a configuration: YAML, JSON, or a module `*.config.ts` whose default export is one.
 *
 * Paths in it are made absolute, from its folder.
 *
 * @throws {ConfigError} whose `problems` are all that is wrong with it, or if it cannot be read.
 */
export async function readConfigFile(path: string): Promise<CheckResult> {
  const directory = dirname(resolve(path));
  const { config, warnings } = MODULE.test(path) ? await readModule(path) : parseConfig(await readText(path), path);
  return { config: withAbsolutePaths(config, directory), warnings };
}

/** The same configuration from anywhere. */
export function withAbsolutePaths({ http, applications, ...rest }: CheckedConfig, directory: string): CheckedConfig {
  return {
    ...rest,
    ...(http === undefined ? {} : { http: withAbsoluteFiles(http, directory) }),
    applications: applications.map((application) => ({
      ...application,
      importPath: absoluteTarget(application.importPath, directory),
    })),
  };
}

/** HTTP options with the texts of keys and certificates in place of their files. @throws {ConfigError} for a file that cannot be read. */
export async function withKeyTexts(http: HttpOptions): Promise<HttpOptions> {
  if (http.tls === undefined) return http;
  const tls = { ...http.tls };
  for (const key of ["key", "cert", "ca"] as const) {
    const value = tls[key];
    if (value === undefined || isPem(value)) continue;
    try {
      tls[key] = await readFile(value, "utf8");
    } catch (error) {
      throw problem(`http.tls.${key}`, `http.tls.${key} cannot be read: ${(error as Error).message}.`);
    }
  }
  return { ...http, tls };
}

function withAbsoluteFiles(http: HttpOptions, directory: string): HttpOptions {
  if (http.tls === undefined) return http;
  const file = (value: string): string => (isPem(value) ? value : resolve(directory, value));
  const { key, cert, ca } = http.tls;
  return { ...http, tls: { key: file(key), cert: file(cert), ...(ca === undefined ? {} : { ca: file(ca) }) } };
}

function isPem(value: string): boolean {
  return value.includes("-----BEGIN");
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw problem(
      "",
      code === "ENOENT" ? `There is no file ${path}.` : `${path} cannot be read: ${(error as Error).message}.`,
    );
  }
}

async function readModule(path: string): Promise<CheckResult> {
  if (!existsSync(path)) throw problem("", `There is no file ${path}.`);
  let module: { readonly default?: unknown };
  try {
    module = (await import(pathToFileURL(resolve(path)).href)) as typeof module;
  } catch (error) {
    const failure = problem("", `${path} cannot be loaded: ${(error as Error).message}`);
    failure.cause = error;
    throw failure;
  }
  if (module.default === undefined)
    throw problem("", `${path} has no default export. Write: export default defineConfig({ applications: […] })`);
  return checkConfig(module.default, { source: path });
}

function problem(path: string, message: string): InvalidConfigError {
  return new InvalidConfigError([{ path, message }]);
}
