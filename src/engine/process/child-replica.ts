import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { ReplicaExit, ReplicaProcess, ReplicaProcessListener } from "../../core/contracts/engine.ts";
import type { ReplicaSpec } from "../../core/deployment/spec.ts";
import { encodeBootstrap } from "../bootstrap.ts";
import type { ControlSlot } from "../control-server.ts";
import { inheritedFlags } from "../inherited-flags.ts";
import { HeardWords, type LastWords } from "../last-words.ts";
import { EXIT_MS } from "./adopted-process.ts";
import type { ProcessEngineOptions } from "./engine.ts";

export interface ChildOptions {
  readonly spec: ReplicaSpec;
  readonly listener: ReplicaProcessListener;
  onGone(): void;
}

const replicaMain = fileURLToPath(new URL(`./process-replica-main${extname(import.meta.url)}`, import.meta.url));

/** A replica in a process that was started here. */
export class ChildReplica implements ReplicaProcess {
  readonly #child: ChildProcess;
  readonly #slot: ControlSlot;
  readonly #gone: Promise<void>;
  readonly #lastWords: LastWords;
  #killTimer: NodeJS.Timeout | undefined = undefined;

  constructor(engine: ProcessEngineOptions, options: ChildOptions) {
    const { context, control, directory, kept, reaper } = engine;
    const { spec, listener } = options;
    const peerId = randomBytes(16);
    const id = peerId.toString("hex");
    const socketPath = socketOf(directory, id);
    this.#slot = control.expect(id, {
      onMessage: (message) => listener.onMessage(message),
      // It is about to exit; if it does not, it is of no use any more, for it would not hear of a stop.
      onClosed: () => this.#killLater(),
    });
    const { target: _, ...sent } = spec;
    const bootstrap = encodeBootstrap(
      {
        controlPath: control.path,
        token: context.token,
        socketPath,
        driverPid: process.pid,
        adoptionMs: kept?.adoptionMs ?? 0,
        spec: sent,
      },
      context.formats,
    );
    const output = engine.openOutput?.(spec);
    this.#child = spawn(
      process.execPath,
      [...inheritedFlags(process.execArgv), ...spec.options.nodeOptions, replicaMain, id],
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
    if (pid !== undefined) {
      reaper.watch(pid, id);
      try {
        kept?.processes.note(id, { pid, startedWallMs: context.clock.wallNow(), about: sent });
      } catch (error) {
        // Nobody would find it again.
        this.#slot.close();
        this.#signal("SIGKILL");
        reaper.forget(pid);
        throw error;
      }
    }
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
        kept?.processes.forget(id);
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

/** Where the replica of this id listens. */
export function socketOf(directory: { file(name: string): string }, id: string): string {
  // Unix sockets have short names; so many digits are enough to tell replicas apart.
  return directory.file(`r${id.slice(0, 8)}.sock`);
}
