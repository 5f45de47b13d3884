import { readFileSync } from "node:fs";
import { join } from "node:path";
import { HeliostatError } from "../core/errors.ts";
import { TOKEN_FILE } from "../engine/runtime-files.ts";
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
 * @throws {HeliostatError} if the one at `HELIOSTAT_ADDRESS` cannot be reached, or that of the state directory has crashed.
 */
export async function findInstance(env: NodeJS.ProcessEnv = process.env): Promise<FoundInstance | undefined> {
  const { HELIOSTAT_ADDRESS: address, HELIOSTAT_TOKEN: token } = env;
  if (address !== undefined && address !== "") return atRuntimeDirectory(await askFor(address, token));
  const directory = new StateDirectory(defaultStateDirectory(env));
  const record = directory.record();
  if (record !== undefined) return atRuntimeDirectory(record.runtimeDirectory);
  const crashed = directory.crashed();
  if (crashed === undefined) return undefined;
  throw new HeliostatError(
    `the instance of this machine (process ${crashed.pid}) has crashed: \`heliostat start\` takes over what it ran`,
  );
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
