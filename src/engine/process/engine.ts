import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Engine, ReplicaExit, ReplicaProcess, ReplicaProcessListener } from "../../core/contracts/engine.ts";
import type { ReplicaSpec } from "../../core/deployment/spec.ts";
import { encodeBootstrap } from "../bootstrap.ts";
import type { ControlServer } from "../control-server.ts";
import { inheritedFlags } from "../inherited-flags.ts";
import { HeardWords, type LastWords } from "../last-words.ts";
import type { WireContext } from "../../wire/wire-context.ts";
import type { OutputFile } from "./output-file.ts";
import type { Reaper } from "./reaper.ts";
import type { RuntimeDirectory } from "./runtime-directory.ts";

export interface ProcessEngineOptions {
  readonly context: WireContext;
  readonly control: ControlServer;
  readonly directory: RuntimeDirectory;
  readonly reaper: Reaper;
  /** Opens what a replica writes to. @default what this process writes to */
  openOutput?(spec: ReplicaSpec): OutputFile | undefined;
}

/** How long a replica may take to exit when it has said goodbye. */
const EXIT_MS = 2_000;

const replicaMain = fileURLToPath(new URL(`./process-replica-main${extname(import.meta.url)}`, import.meta.url));

/** Runs each replica as a process of its own. */
export class ProcessEngine implements Engine {
  readonly kind = "process";
  readonly #options: ProcessEngineOptions;
  readonly #running = new Set<ChildReplica>();
  #started = 0;

  constructor(options: ProcessEngineOptions) {
    this.#options = options;
  }

  start(spec: ReplicaSpec, listener: ReplicaProcessListener): ReplicaProcess {
    const socketPath = this.#options.directory.file(`r${++this.#started}.sock`);
    const replica = new ChildReplica(this.#options, {
      spec,
      socketPath,
      listener,
      onGone: () => this.#running.delete(replica),
    });
    this.#running.add(replica);
    return replica;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((replica) => replica.end()));
  }
}

interface ChildOptions {
  readonly spec: ReplicaSpec;
  readonly socketPath: string;
  readonly listener: ReplicaProcessListener;
  onGone(): void;
}

class ChildReplica implements ReplicaProcess {
  readonly #child: ChildProcess;
  readonly #slot: ReturnType<ControlServer["expect"]>;
  readonly #gone: Promise<void>;
  readonly #lastWords: LastWords;
  #killTimer: NodeJS.Timeout | undefined = undefined;

  constructor(engine: ProcessEngineOptions, options: ChildOptions) {
    const { context, control, reaper } = engine;
    const { spec, socketPath, listener } = options;
    const id = randomBytes(16);
    this.#slot = control.expect(id.toString("hex"), {
      onMessage: (message) => listener.onMessage(message),
      // It is about to exit; if it does not, it is of no use any more, for it would not hear of a stop.
      onClosed: () => this.#killLater(),
    });
    const { target: _, ...sent } = spec;
    const bootstrap = encodeBootstrap(
      { controlPath: control.path, token: context.token, socketPath, driverPid: process.pid, spec: sent },
      context.formats,
    );
    const output = engine.openOutput?.(spec);
    this.#child = spawn(
      process.execPath,
      [...inheritedFlags(process.execArgv), ...spec.options.nodeOptions, replicaMain, id.toString("hex")],
      {
        // A group of its own: Ctrl-C in a terminal reaches the driver alone, which stops its replicas in order.
        detached: true,
        stdio: ["pipe", output?.fd ?? "inherit", output?.fd ?? "pipe"],
        env: { ...process.env, ...spec.options.env },
      },
    );
    output?.close();
    const { pid, stdin, stderr } = this.#child;
    // Before it has its bootstrap a replica cannot outlive its driver.
    if (pid !== undefined) reaper.watch(pid);
    stdin!.on("error", () => {});
    stdin!.end(bootstrap);
    this.#lastWords = output ?? new HeardWords(stderr!);
    let spawnError: Error | undefined;
    this.#child.on("error", (error) => {
      spawnError = error;
    });
    this.#gone = new Promise((resolve) => {
      const gone = (code: number | null, signal: NodeJS.Signals | null): void => {
        clearTimeout(this.#killTimer);
        this.#slot.close();
        rmSync(socketPath, { force: true });
        options.onGone();
        listener.onExit(this.#describe(code, signal, spawnError));
        resolve();
      };
      this.#child.on("exit", () => {
        // What user code has started in the group ends with it, and so its pipes close.
        this.#signal("SIGKILL");
        if (pid !== undefined) reaper.forget(pid);
      });
      this.#child.on("close", gone);
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(message: Parameters<ReplicaProcess["send"]>[0]): void {
    this.#slot.send(message);
  }

  kill(): void {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) this.#signal("SIGKILL");
  }

  end(): Promise<void> {
    this.kill();
    return this.#gone;
  }

  #killLater(): void {
    this.#killTimer ??= setTimeout(() => this.kill(), EXIT_MS).unref();
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // The group is empty.
    }
  }

  #describe(code: number | null, signal: NodeJS.Signals | null, error: Error | undefined): ReplicaExit {
    const what =
      error !== undefined
        ? `could not be started: ${error.message}`
        : signal === null
          ? `exited with code ${code}`
          : `was killed by ${signal}`;
    return { description: this.#lastWords.behind(what), code, signal };
  }
}
