import { type ChildProcess, spawn } from "node:child_process";

/**
 * Waits until the pipe to its driver ends, which it does however the driver ends; then gives replicas a second to leave
 * by themselves and kills what is left of their process groups, and removes the directory of the sockets.
 */
const SCRIPT = `
trap '' INT TERM HUP QUIT
groups=""
while read -r op pid; do
  case $op in
    +) groups="$groups $pid" ;;
    -) rest=""; for g in $groups; do [ "$g" = "$pid" ] || rest="$rest $g"; done; groups=$rest ;;
    =) exit 0 ;;
  esac
done
[ -z "$groups" ] || sleep 1
for g in $groups; do kill -9 "-$g"; done 2>/dev/null
rm -rf -- "$1"
rmdir -- "$2" 2>/dev/null
`;

/**
 * A tiny process that outlives its driver just long enough to clean up after it.
 *
 * A driver that is killed cannot clean up, and a replica whose user code blocks the event loop cannot notice: something
 * outside both must.
 */
export class Reaper {
  readonly #child: ChildProcess;

  /** @param directory removed at the end, and its parent if that is empty then. */
  constructor(directory: string, parent: string) {
    this.#child = spawn("/bin/sh", ["-c", SCRIPT, "heliostat-reaper", directory, parent], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      cwd: "/",
      env: { PATH: "/usr/bin:/bin" },
    });
    this.#child.on("error", () => {});
    this.#child.stdin!.on("error", () => {});
    this.#child.unref();
    (this.#child.stdin as unknown as { unref(): void }).unref();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** A process group that must not outlive the driver. */
  watch(group: number): void {
    this.#child.stdin!.write(`+ ${group}\n`);
  }

  forget(group: number): void {
    this.#child.stdin!.write(`- ${group}\n`);
  }

  /** Ends it when nothing is left to clean up. Resolves when it is gone. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined) {
        resolve();
        return;
      }
      this.#child.ref();
      this.#child.once("exit", () => resolve());
      this.#child.stdin!.end("=\n");
    });
  }
}
