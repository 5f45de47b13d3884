import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Waits until the pipe to its driver ends, which it does however the driver ends; then gives replicas a second to leave
 * by themselves and kills what is left of their process groups, and removes the directory of the sockets.
 *
 * With a third argument, what runs is left to the next driver for so many seconds: whose reaper has written its number
 * into the directory meanwhile looks after it from then on. By then a number may be another process's, so only groups are
 * killed whose first process has its mark on its command line.
 */
const SCRIPT = `
trap '' INT TERM HUP QUIT
groups=""
while read -r op pid mark; do
  case $op in
    +) groups="$groups $pid:$mark" ;;
    -) rest=""; for g in $groups; do [ "\${g%%:*}" = "$pid" ] || rest="$rest $g"; done; groups=$rest ;;
    !) set -- "$1" "$2" 0 ;;
    =) exit 0 ;;
  esac
done
if [ "$3" -gt 0 ]; then
  waited=0
  while [ "$waited" -lt "$3" ]; do
    [ "$(cat "$1/reaper" 2>/dev/null)" = "$$" ] || exit 0
    sleep 1
    waited=$((waited + 1))
  done
elif [ -n "$groups" ]; then
  sleep 1
fi
for g in $groups; do
  pid=\${g%%:*}
  if [ "$3" -gt 0 ]; then
    args=$(tr '\\0' ' ' <"/proc/$pid/cmdline" || ps -o args= -p "$pid")
    case $args in *"\${g#*:}"*) ;; *) continue ;; esac
  fi
  kill -9 "-$pid"
done 2>/dev/null
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
  readonly #graceS: number;
  #child: ChildProcess | undefined = undefined;

  /**
   * @param directory removed at the end, and its parent if that is empty then.
   * @param graceS how long what runs may wait for another driver. @default 0
   */
  constructor(directory: string, parent: string, graceS = 0) {
    this.#directory = directory;
    this.#parent = parent;
    this.#graceS = graceS;
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
   *
   * @param mark stands on the command line of its first process.
   */
  watch(group: number, mark = ""): void {
    this.start().stdin!.write(`+ ${group} ${mark}\n`);
  }

  forget(group: number): void {
    this.#child?.stdin!.write(`- ${group}\n`);
  }

  /** There is to be no other driver: what runs ends with this process, whatever was said before. */
  forsake(): void {
    this.#child?.stdin!.write("!\n");
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
    const child = spawn(
      "/bin/sh",
      ["-c", SCRIPT, "heliostat-reaper", this.#directory, this.#parent, String(this.#graceS)],
      {
        detached: true,
        stdio: ["pipe", "ignore", "ignore"],
        cwd: "/",
        env: { PATH: "/usr/bin:/bin" },
      },
    );
    child.on("error", () => {});
    child.stdin.on("error", () => {});
    if (this.#graceS > 0 && child.pid !== undefined) writeFileSync(join(this.#directory, "reaper"), String(child.pid));
    child.unref();
    (child.stdin as unknown as { unref(): void }).unref();
    return child;
  }
}
