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
  readonly #directory: string;
  readonly #parent: string;
  #child: ChildProcess | undefined = undefined;

  /** @param directory removed at the end, and its parent if that is empty then. */
  constructor(directory: string, parent: string) {
    this.#directory = directory;
    this.#parent = parent;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it, if it does not run yet. */
  start(): ChildProcess {
    return (this.#child ??= this.#spawn());
  }

  /**
   * A process group that must not outlive the driver.
   *
   * The first one starts the reaper, so that the first replica starts up meanwhile: until it is given its bootstrap, which
   * is after this, a replica ends by itself when its driver is gone.
   */
  watch(group: number): void {
    this.start().stdin!.write(`+ ${group}\n`);
  }

  forget(group: number): void {
    this.#child?.stdin!.write(`- ${group}\n`);
  }

  /** Ends it when nothing is left to clean up. Resolves when it is gone. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      const child = this.#child;
      if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
        resolve();
        return;
      }
      child.ref();
      child.once("exit", () => resolve());
      child.stdin!.end("=\n");
    });
  }

  #spawn(): ChildProcess {
    const child = spawn("/bin/sh", ["-c", SCRIPT, "heliostat-reaper", this.#directory, this.#parent], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      cwd: "/",
      env: { PATH: "/usr/bin:/bin" },
    });
    child.on("error", () => {});
    child.stdin.on("error", () => {});
    child.unref();
    (child.stdin as unknown as { unref(): void }).unref();
    return child;
  }
}
