import { spawn } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { DeploymentFailedError } from "../../core/errors.ts";
import { inheritedFlags } from "../../engine/inherited-flags.ts";
import { OUTCOME_FD } from "../../engine/outcome-pipe.ts";
import type { BuildOutcome, BuildRequest, BuiltApplication } from "./build-request.ts";
import { decodeValue, specFormats } from "../../formats/spec-formats.ts";
import { endsWithThisProcess } from "./parent-watch.ts";

const builderMain = fileURLToPath(new URL(`./builder-main${extname(import.meta.url)}`, import.meta.url));
/** A module that takes longer to load hangs. */
const BUILD_MS = 120_000;

/** An application could not be built; the files that were loaded until then are worth watching all the same. */
export class BuildFailure {
  readonly error: unknown;
  readonly files: readonly string[];

  constructor(error: unknown, files: readonly string[]) {
    this.error = error;
    this.files = files;
  }
}

/**
 * Loads the module of an application in a process of its own, and gives the application in a form that travels.
 *
 * The process that controls replicas never runs the user's code, and each build sees the code as it is then.
 *
 * @returns a failure instead, with what the user's code threw, or a `ConfigError` for a target that is none.
 */
export async function build(
  request: BuildRequest,
  options: { readonly signal?: AbortSignal } = {},
): Promise<BuiltApplication | BuildFailure> {
  const child = spawn(process.execPath, [...inheritedFlags(), builderMain], {
    cwd: request.directory,
    // What the module prints is for people.
    stdio: ["pipe", 2, 2, "pipe"],
    env: { ...process.env, ...request.env },
    // A group of its own, so that what the module has started ends with it.
    detached: true,
  });
  const kill = (): void => {
    try {
      process.kill(-child.pid!, "SIGKILL");
    } catch {
      // It has ended.
    }
  };
  const endWatch = child.pid === undefined ? undefined : endsWithThisProcess(child.pid);
  const timer = setTimeout(kill, BUILD_MS);
  options.signal?.addEventListener("abort", kill, { once: true });
  const chunks: Buffer[] = [];
  child.stdin!.on("error", () => {});
  child.stdin!.end(JSON.stringify(request));
  child.stdio[OUTCOME_FD]!.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = await new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`could not be started: ${error.message}`));
    child.once("exit", () => kill());
    child.once("close", (code, signal) =>
      resolve(signal === null ? `ended itself with code ${code}` : `was ended by ${signal}`),
    );
  });
  clearTimeout(timer);
  await endWatch?.();
  options.signal?.removeEventListener("abort", kill);
  options.signal?.throwIfAborted();
  const bytes = Buffer.concat(chunks);
  if (bytes.byteLength === 0) {
    const why = `The process that loaded ${request.importPath} for application "${request.name}" ${ended} before it was done.`;
    return new BuildFailure(new DeploymentFailedError(why, { deployment: "" }), []);
  }
  const outcome = decodeValue(bytes, specFormats()) as BuildOutcome;
  return outcome.type === "built" ? outcome.built : new BuildFailure(outcome.error, outcome.files);
}
