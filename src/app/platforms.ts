import { rmSync } from "node:fs";
import type { Log } from "../core/contracts/log.ts";
import type { ReplicaSpec } from "../core/deployment/spec.ts";
import type { Caller } from "../core/handle/caller.ts";
import { ControlServer } from "../engine/control-server.ts";
import { MemoryEngine } from "../engine/memory/engine.ts";
import { ProcessEngine } from "../engine/process/engine.ts";
import { KeptProcesses } from "../engine/process/kept-processes.ts";
import { OutputFile, outputPath } from "../engine/process/output-file.ts";
import { Reaper } from "../engine/process/reaper.ts";
import { RuntimeDirectory } from "../engine/process/runtime-directory.ts";
import { CONTROL_SOCKET } from "../engine/runtime-files.ts";
import { loopPoller } from "../engine/loop-poller.ts";
import { processState } from "../engine/process-state.ts";
import { FOREVER_MS } from "../engine/system-clock.ts";
import { ThreadEngine } from "../engine/thread/engine.ts";
import { connectSocket } from "../transport/socket.ts";
import type { WireContext } from "../wire/wire-context.ts";
import type { MakePlatform, Platform, Welcome } from "./instance.ts";
import { ProxyHost } from "./proxies/proxy-host.ts";

export interface ProcessPlatformOptions {
  /** Where each replica gets a file for its output. @default it goes where that of this process goes */
  readonly outputDirectory?: string | undefined;
  /** What runs outlives this process, for another one to take over. @default it ends with it */
  readonly kept?: KeptOptions | undefined;
}

export interface KeptOptions {
  /** The runtime directory that a process before this one has left. */
  readonly runtimeDirectory: string | undefined;
  /** Whether what it has left can be taken over; it is ended otherwise. */
  readonly isCompatible: boolean;
  /** How long what runs waits for another process. */
  readonly adoptionMs: number;
}

/** What does not end by itself when its time to be taken over has passed gets so much more, and is then killed. */
const REAP_AFTER_S = 30;

/** Replicas in processes and threads of their own. */
export function processPlatform(options: ProcessPlatformOptions = {}): MakePlatform {
  return (context, _, log) => openProcesses({ context, log }, options);
}

async function openProcesses(
  { context, log }: { readonly context: WireContext; readonly log: Log },
  { outputDirectory, kept }: ProcessPlatformOptions,
): Promise<Platform> {
  const directory = kept === undefined ? RuntimeDirectory.make() : keptDirectory(kept);
  const takesOver = directory.hasToken;
  if (takesOver) context.token.set(directory.readToken());
  else directory.writeToken(context.token);
  const graceS = kept === undefined ? 0 : Math.ceil(kept.adoptionMs / 1_000) + REAP_AFTER_S;
  const reaper = new Reaper(directory.path, directory.parent, graceS);
  // Also if nothing is started: it takes the place of the one before, which would remove the directory.
  if (kept !== undefined) reaper.start();
  let welcome: Welcome | undefined;
  const control = await ControlServer.open({
    path: directory.file(CONTROL_SOCKET),
    onGuest: (send) => welcome?.(send),
    formats: context.formats,
    limits: context.limits,
    token: context.token,
  });
  const openOutput = (spec: Pick<ReplicaSpec, "app" | "replicaId">): OutputFile | undefined => {
    if (outputDirectory === undefined) return undefined;
    const path = outputPath(outputDirectory, spec);
    try {
      return new OutputFile(path);
    } catch (error) {
      log.error(`Replica ${spec.replicaId} cannot write to ${path}: ${(error as Error).message}`);
      return undefined;
    }
  };
  const processes = new ProcessEngine({
    context,
    control,
    directory,
    reaper,
    kept:
      kept === undefined
        ? undefined
        : { processes: new KeptProcesses(directory, "replica"), adoptionMs: kept.adoptionMs },
    openOutput,
  });
  const threads = new ThreadEngine({ context, control, directory, openOutput });
  const proxies = new ProxyHost({
    clock: context.clock,
    log,
    runtimeDirectory: directory.path,
    token: context.token,
    control,
    reaper,
    kept:
      kept === undefined
        ? undefined
        : { processes: new KeptProcesses(directory, "proxy"), adoptionMs: kept.adoptionMs },
  });
  return {
    runtimeDirectory: directory.path,
    takesOver,
    openProxies: (http) => proxies.open(http),
    receiveGuests(receive) {
      welcome = receive;
    },
    engine(isolation) {
      if (isolation === "process") return processes;
      // Threads end with their process, but the directory does not.
      reaper.start();
      return threads;
    },
    open: ({ address }) =>
      address.threadOf === process.pid ? threads.open(address) : connectSocket(address.socketPath!),
    openSharedMemory: async () => {
      const { openMappedMemory } = await import("../transport/mapped-memory.ts");
      return openMappedMemory(context.token);
    },
    poller: loopPoller,
    forsake: () => reaper.forsake(),
    async close() {
      await Promise.all([processes.close(), threads.close()]);
      // Behind the replicas, so that whoever waits for one of them is told that it is gone.
      await proxies.close();
      control.close();
      await reaper.close();
      directory.remove();
    },
  };
}

/** The directory that was left, if what is in it can be taken over; else a new one. */
function keptDirectory({ runtimeDirectory, isCompatible }: KeptOptions): RuntimeDirectory {
  const left = runtimeDirectory === undefined ? undefined : RuntimeDirectory.left(runtimeDirectory);
  if (left !== undefined && isCompatible && left.hasToken) {
    // Nobody listens there any more.
    rmSync(left.file(CONTROL_SOCKET), { force: true });
    return left;
  }
  if (left !== undefined) {
    for (const kind of ["replica", "proxy"]) new KeptProcesses(left, kind).end();
    left.remove();
  }
  return RuntimeDirectory.make(undefined, { isKept: true });
}

/** Everything in this process. */
export function memoryPlatform(context: WireContext, caller: Caller, log: Log): Platform {
  const { contexts, residence, facilities } = processState;
  const engine = new MemoryEngine({
    context,
    clock: context.clock,
    contexts,
    residence,
    facilities,
    deadlines: caller.deadlines,
    log,
  });
  // An instance keeps its process alive, as a listening server does; there is no server here.
  const alive = setInterval(() => {}, FOREVER_MS);
  return {
    engine: () => engine,
    open: (target) => engine.open(target),
    async close() {
      await engine.close();
      clearInterval(alive);
    },
  };
}
