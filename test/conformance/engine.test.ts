import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ReplicaSpec } from "../../src/core/deployment/spec.ts";
import type { Engine, ReplicaProcess } from "../../src/core/contracts/engine.ts";
import { Deadlines } from "../../src/core/handle/deadlines.ts";
import { ControlServer } from "../../src/engine/control-server.ts";
import { MemoryEngine } from "../../src/engine/memory/engine.ts";
import { ProcessEngine } from "../../src/engine/process/engine.ts";
import { OutputFile, outputPath } from "../../src/engine/process/output-file.ts";
import { Reaper } from "../../src/engine/process/reaper.ts";
import { RuntimeDirectory } from "../../src/engine/process/runtime-directory.ts";
import { processState } from "../../src/engine/process-state.ts";
import { systemClock } from "../../src/engine/system-clock.ts";
import { ThreadEngine } from "../../src/engine/thread/engine.ts";
import { formats } from "../../src/formats/formats.ts";
import { connectSocket } from "../../src/transport/socket.ts";
import { defaultLimits } from "../../src/wire/limits.ts";
import type { WireContext } from "../../src/wire/wire-context.ts";
import { describeEngine, type OpenedEngine } from "./engine.ts";

function newContext(): WireContext {
  return {
    clock: systemClock,
    formats: formats(),
    limits: defaultLimits,
    token: randomBytes(32),
    peerId: randomBytes(16),
  };
}

/** Notes the processes that an engine starts. */
function watched(engine: Engine): { readonly engine: Engine; readonly started: ReplicaProcess[] } {
  const started: ReplicaProcess[] = [];
  return {
    started,
    engine: {
      kind: engine.kind,
      start(spec, listener) {
        const replica = engine.start(spec, listener);
        started.push(replica);
        return replica;
      },
      close: () => engine.close(),
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function openSeparate(kind: "process" | "thread", hasFiles = false): Promise<OpenedEngine> {
  const context = newContext();
  const root = mkdtempSync(join(tmpdir(), "heliostat-engine-"));
  const directory = RuntimeDirectory.make(root);
  const reaper = new Reaper(directory.path, directory.parent);
  const control = await ControlServer.open({
    path: directory.file("c.sock"),
    formats: context.formats,
    limits: context.limits,
    token: context.token,
  });
  const files = hasFiles
    ? { openOutput: (spec: ReplicaSpec) => new OutputFile(outputPath(join(root, "logs"), spec)) }
    : {};
  const threads = new ThreadEngine({ context, control, directory, ...files });
  const { engine, started } = watched(
    kind === "thread"
      ? threads
      : new ProcessEngine({
          context,
          control,
          directory,
          reaper,
          ...files,
        }),
  );
  return {
    engine,
    context,
    connect: (address) =>
      address.threadOf === process.pid ? threads.open(address) : connectSocket(address.socketPath!),
    leftovers() {
      const files = existsSync(directory.path) ? readdirSync(directory.path).filter((name) => name !== "c.sock") : [];
      const pids = kind === "thread" ? [] : started.map(({ pid }) => pid!).filter(isAlive);
      return [...files, ...pids.map((pid) => `process ${pid}`)];
    },
    async close() {
      control.close();
      await reaper.close();
      directory.remove();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function openMemory(): Promise<OpenedEngine> {
  const context = newContext();
  const { contexts, residence } = processState;
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const engine = new MemoryEngine({
    context,
    clock: systemClock,
    contexts,
    residence,
    deadlines: new Deadlines(systemClock),
    log,
  });
  return Promise.resolve({
    engine,
    context,
    connect: (address) => engine.open({ replicaId: "", nodeId: "local", address, modelIds: [], stats: {} }),
    leftovers: () => [],
    close: () => Promise.resolve(),
  });
}

describeEngine("process engine", { isolated: true, loads: true }, () => openSeparate("process"));
describeEngine("process engine, output in files", { isolated: true, loads: true }, () => openSeparate("process", true));
describeEngine("thread engine", { isolated: true, loads: true }, () => openSeparate("thread"));
describeEngine("thread engine, output in files", { isolated: true, loads: true }, () => openSeparate("thread", true));
describeEngine("memory engine", { isolated: false, loads: false }, openMemory);
