import { spawn } from "node:child_process";
import { once } from "node:events";

/** Its pipe ends with the parent, however that ends. One line through it says that nothing is left to kill. */
const SCRIPT = `
trap '' INT TERM HUP QUIT
read -r _ || kill -9 "-$1"
`;

/**
 * Lets a process group end with this process, also if this one is killed, and that one hangs in a loop: something outside
 * both must see to it.
 *
 * @returns a function that ends the watch, and resolves when nothing is left of it.
 */
export function endsWithThisProcess(group: number): () => Promise<void> {
  const child = spawn("/bin/sh", ["-c", SCRIPT, "heliostat-watch", String(group)], {
    // What ends this process from a terminal must not end the watch before it.
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
  });
  child.stdin.on("error", () => {});
  const ended = once(child, "exit").catch(() => {});
  return async () => {
    child.stdin.end("=\n");
    await ended;
  };
}
