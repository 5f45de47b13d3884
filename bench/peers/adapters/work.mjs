/*
 * What every peer serves: the same work as `fixtures/echo.ts` does.
 *
 * An adapter exports `start(options)`, which gives `{ pids, echo, nothing, items?, take?, stop }`: `pids` are the processes
 * on the other side (none if it is a thread), `items(count)` gives how many items came, `take(bytes)` how many bytes the
 * other side has got. Plain JavaScript, because the packages are not there when the types of this project are checked.
 */

export const echo = (value) => value;
export const nothing = () => {};
export const take = (bytes) => bytes.byteLength;

/** Asks a child process for its port, or for a sign that it listens. */
export function firstMessage(child) {
  return new Promise((resolve, reject) => {
    child.once("message", resolve);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`A peer process ended with code ${code} before it was ready.`)));
  });
}

/** Ends a child process that this program has started, and waits for its end. */
export async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}
