import { existsSync, statSync } from "node:fs";
import { registerHooks } from "node:module";
import { isAbsolute, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** A module, and which of its exports. */
export interface ImportTarget {
  readonly module: string;
  readonly exportName: string | undefined;
}

const FILE = /^\.{0,2}\/|\.[cm]?[jt]sx?$/;
/** A name behind the last colon; what is there of a Windows path or a URL is none. */
const EXPORT = /^(.+):([\p{ID_Start}$_][\p{ID_Continue}$]*)$/u;

/** Takes `MODULE[:EXPORT]` apart. */
export function parseTarget(target: string): ImportTarget {
  const match = EXPORT.exec(target);
  return match === null ? { module: target, exportName: undefined } : { module: match[1]!, exportName: match[2] };
}

/**
 * The same target from anywhere: a file by its absolute path, a package by that of its entry.
 *
 * What is not found stays a path or a name: whoever loads it says so.
 */
export function absoluteTarget(target: string, directory: string): string {
  const { module, exportName } = parseTarget(target);
  const suffix = exportName === undefined ? "" : `:${exportName}`;
  const path = resolve(directory, module);
  if (isAbsolute(module) || FILE.test(module) || isFile(path)) return `${path}${suffix}`;
  const found = packageEntry(module, directory);
  return found === undefined ? target : `${found}${suffix}`;
}

export function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

/** The file that `import name` loads in a directory. */
function packageEntry(name: string, directory: string): string | undefined {
  const parentURL = pathToFileURL(resolve(directory, "_.js")).href;
  const hooks = registerHooks({
    resolve: (specifier, context, next) => next(specifier, specifier === name ? { ...context, parentURL } : context),
  });
  try {
    const url = import.meta.resolve(name);
    return url.startsWith("file:") ? fileURLToPath(url) : undefined;
  } catch {
    return undefined;
  } finally {
    hooks.deregister();
  }
}
