import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** How long a process may take to end by itself. */
const END_MS = 10_000;

/** Something that answers HTTP, and the processes that do it. */
export interface HttpServer {
  readonly url: string;
  readonly pids: readonly number[];
  close(): Promise<void>;
}

/** heliostat: a program with its proxy, and one replica. */
export function startServing(): Promise<HttpServer> {
  return start("http-serving.ts", []);
}

/** A process of `fixtures/http-hop.ts` that answers by itself. */
export function startDirect(kind: "by-hand" | "fetch" | "bytes"): Promise<HttpServer> {
  return start("http-hop.ts", [kind]);
}

/** A front process that passes requests on, over a Unix socket, to one that does the work. */
export async function startHop(front: "request" | "dispatch", worker: "by-hand" | "fetch"): Promise<HttpServer> {
  const directory = mkdtempSync(join(tmpdir(), "bench-http-"));
  const socketPath = join(directory, "worker.sock");
  const behind = await start("http-hop.ts", [worker, socketPath]);
  const before = await start("http-hop.ts", [front, socketPath]);
  return {
    url: before.url,
    pids: [...before.pids, ...behind.pids],
    async close() {
      await before.close();
      await behind.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function start(file: string, args: readonly string[]): Promise<HttpServer> {
  const path = fileURLToPath(new URL(`../fixtures/${file}`, import.meta.url));
  // What it writes must not come between the results.
  const child = fork(path, args, { stdio: ["ignore", 2, 2, "ipc"] });
  const [told] = (await Promise.race([
    once(child, "message"),
    once(child, "exit").then(([code]) => {
      throw new Error(`${file} ${args.join(" ")} ended with code ${code} before it was ready.`);
    }),
  ])) as [Omit<HttpServer, "close">];
  return { ...told, close: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  const timer = setTimeout(() => child.kill("SIGKILL"), END_MS);
  if (child.connected) child.send("end");
  await gone;
  clearTimeout(timer);
}
