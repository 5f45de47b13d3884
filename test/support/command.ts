import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const heliostat = fileURLToPath(new URL("../../src/cli/heliostat.ts", import.meta.url));

/** What a command is started with: a home of its own, so that none of the user's is touched. */
export function commandEnvironment(home: string, more: Record<string, string> = {}): NodeJS.ProcessEnv {
  const { HELIOSTAT_ADDRESS: _, HELIOSTAT_STATE_DIR: __, HELIOSTAT_TOKEN: ___, ...env } = process.env;
  return { ...env, HOME: home, XDG_STATE_HOME: join(home, "state"), NO_COLOR: "1", ...more };
}

/** What Node looks at to choose how many colours a terminal has (`tty.WriteStream.getColorDepth`), except `TERM`. */
const ABOUT_COLOURS =
  "NO_COLOR FORCE_COLOR NODE_DISABLE_COLORS CI TF_BUILD TEAMCITY_VERSION TMUX TERM_PROGRAM COLORTERM".split(" ");

/** The same for a command on a terminal with colours, wherever the tests themselves run. */
export function terminalEnvironment(home: string): NodeJS.ProcessEnv {
  const env = commandEnvironment(home, { TERM: "xterm-256color" });
  return Object.fromEntries(Object.entries(env).filter(([name]) => !ABOUT_COLOURS.includes(name)));
}

/** A folder for one test, with everything that it makes there. */
export class TemporaryFolder implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), "heliostat-cli-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The arguments of Node for a command, from the sources. */
export function commandArguments(args: readonly string[]): string[] {
  return ["--conditions=heliostat-source", heliostat, ...args];
}

/** One `heliostat` command as a process, and what it says. */
export class RunningCommand {
  stdout = "";
  stderr = "";
  readonly child: ChildProcess;
  readonly exited: Promise<number>;
  readonly #changed = new Set<() => void>();

  constructor(args: readonly string[], options: { readonly cwd: string; readonly env?: Record<string, string> }) {
    this.child = spawn(process.execPath, commandArguments(args), {
      cwd: options.cwd,
      env: commandEnvironment(options.cwd, options.env),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const on = (name: "stdout" | "stderr") => (chunk: Buffer) => {
      this[name] += chunk.toString();
      for (const tell of this.#changed) tell();
    };
    this.child.stdout!.on("data", on("stdout"));
    this.child.stderr!.on("data", on("stderr"));
    this.exited = new Promise((resolve) => {
      this.child.once("close", (code, signal) => {
        resolve(code ?? (signal === null ? -1 : 128));
        for (const tell of this.#changed) tell();
      });
    });
  }

  /** Waits until it has said something on stderr. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.stderr);
      if (found !== null) return found;
      if (this.child.exitCode !== null)
        throw new Error(`It has ended with ${this.child.exitCode} and said:\n${this.stderr}`);
      await new Promise<void>((resolve) => {
        const tell = (): void => {
          this.#changed.delete(tell);
          resolve();
        };
        this.#changed.add(tell);
      });
    }
  }
}

/** Runs a command to its end. */
export async function command(
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: Record<string, string> },
): Promise<{ code: number; stdout: string; stderr: string }> {
  const running = new RunningCommand(args, options);
  const code = await running.exited;
  return { code, stdout: running.stdout, stderr: running.stderr };
}
