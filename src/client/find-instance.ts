import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { HeliostatError } from "../core/errors.ts";
import { TOKEN_FILE } from "../engine/runtime-files.ts";
import { isSameProcess } from "../engine/process/process-mark.ts";
import { defaultStateDirectory, StateDirectory } from "./state-directory.ts";

/** Where a running instance is reached, and by what secret. */
export interface FoundInstance {
  readonly runtimeDirectory: string;
  readonly token: Uint8Array;
}

/** An instance that does not answer is none that one waits for. */
const ANSWER_MS = 10_000;

/**
 * Finds the instance at `HELIOSTAT_ADDRESS`, or else the one of the state directory.
 *
 * @returns undefined if none runs where nobody has said that there is one.
 * @throws {HeliostatError} if the one at `HELIOSTAT_ADDRESS` cannot be reached.
 */
export async function findInstance(env: NodeJS.ProcessEnv = process.env): Promise<FoundInstance | undefined> {
  const { HELIOSTAT_ADDRESS: address, HELIOSTAT_TOKEN: token } = env;
  if (address !== undefined && address !== "") return atRuntimeDirectory(await askFor(address, token));
  const text = new StateDirectory(defaultStateDirectory(env)).read("instance.json");
  const record = text === undefined ? undefined : parse(text);
  if (record === undefined) return undefined;
  const { pid, start, controlPath, runtimeDirectory = controlPath && dirname(controlPath) } = record;
  const runs = start === undefined ? isRunning(pid) : isSameProcess({ pid, start });
  return runs && runtimeDirectory !== undefined ? atRuntimeDirectory(runtimeDirectory) : undefined;
}

/** What is read of an instance's record; one by hand may leave out the start of the process. */
interface Record {
  readonly pid: number;
  readonly start?: string;
  readonly runtimeDirectory?: string;
  readonly controlPath?: string;
}

function parse(text: string): Record | undefined {
  try {
    const record = JSON.parse(text) as Record | null;
    return typeof record?.pid === "number" ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Asks the REST interface where the sockets are. */
async function askFor(address: string, token: string | undefined): Promise<string> {
  try {
    const response = await fetch(new URL("/api/v1/instance", address), {
      headers: token === undefined || token === "" ? {} : { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (!response.ok) throw new HeliostatError(`it answered ${response.status}`);
    const { runtimeDirectory } = (await response.json()) as { readonly runtimeDirectory?: unknown };
    if (typeof runtimeDirectory !== "string") throw new HeliostatError("it does not say where its sockets are");
    return runtimeDirectory;
  } catch (error) {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? `${message}: ${cause.message}` : message;
    throw new HeliostatError(
      `the instance at HELIOSTAT_ADDRESS (${address}) cannot be asked: ${why}. Check the address and HELIOSTAT_TOKEN`,
      { cause: error },
    );
  }
}

function atRuntimeDirectory(directory: string): FoundInstance {
  try {
    return { runtimeDirectory: directory, token: readFileSync(join(directory, TOKEN_FILE)) };
  } catch (error) {
    throw new HeliostatError(
      `the sockets of the instance in ${directory} cannot be reached: ${(error as Error).message}. Calls need an instance of this machine and this user`,
      { cause: error },
    );
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
