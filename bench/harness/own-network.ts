import { spawnSync } from "node:child_process";

const MARK = "BENCH_OWN_NETWORK";
const UNSHARE = ["--map-root-user", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$0" "$@"'];

/** Whether this process has a network of its own, where nobody else can reach what it starts. */
export function isInOwnNetwork(): boolean {
  return process.env[MARK] === "1";
}

/**
 * Runs this program once more in a network of its own, if the system has that; then this process ends with it.
 *
 * What is measured there may listen on all addresses, as some programs cannot be kept from doing.
 */
export function moveToOwnNetwork(): void {
  if (isInOwnNetwork() || spawnSync("unshare", [...UNSHARE, "true"], { stdio: "ignore" }).status !== 0) return;
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const { status } = spawnSync("unshare", [...UNSHARE, ...self], {
    stdio: "inherit",
    env: { ...process.env, [MARK]: "1" },
  });
  process.exit(status ?? 1);
}
