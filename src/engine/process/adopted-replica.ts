import { rmSync } from "node:fs";
import type { ReplicaProcess, ReplicaProcessListener } from "../../core/contracts/engine.ts";
import type { ReplicaSpec } from "../../core/deployment/spec.ts";
import type { ControlSlot } from "../control-server.ts";
import { EXIT_MS, socketOf } from "./child-replica.ts";
import type { ProcessEngineOptions } from "./engine.ts";
import type { KeptProcess } from "./kept-processes.ts";
import { isSameProcess } from "./process-mark.ts";

export interface AdoptedOptions {
  readonly found: KeptProcess<Omit<ReplicaSpec, "target">>;
  readonly listener: ReplicaProcessListener;
  onGone(): void;
}

/** How often it is looked whether a process is there that is no child of this one, while no connection tells. */
const LOOK_MS = 50;

/** A replica that a controller before this one has started. */
export class AdoptedReplica implements ReplicaProcess {
  readonly pid: number;
  readonly #options: AdoptedOptions;
  readonly #slot: ControlSlot;
  readonly #gone = Promise.withResolvers<void>();
  #looking: NodeJS.Timeout | undefined = undefined;
  #killTimer: NodeJS.Timeout | undefined = undefined;

  constructor(engine: ProcessEngineOptions, options: AdoptedOptions) {
    const { found, listener } = options;
    const { id, pid } = found;
    this.pid = pid;
    this.#options = options;
    engine.reaper.watch(pid, id);
    // It goes on writing to it; only the end of that is of interest here.
    const output = engine.openOutput?.(found.about);
    output?.close();
    this.#slot = engine.control.expect(id, {
      onMessage: (message) => {
        // From now on the connection tells of its end.
        clearInterval(this.#looking);
        listener.onMessage(message);
      },
      onClosed: () => {
        this.#killTimer ??= setTimeout(() => this.kill(), EXIT_MS).unref();
        look();
      },
    });
    const end = (): void => {
      clearInterval(this.#looking);
      clearTimeout(this.#killTimer);
      this.#slot.close();
      engine.reaper.forget(pid);
      engine.kept?.processes.forget(id);
      rmSync(socketOf(engine.directory, id), { force: true });
      options.onGone();
      const what = "ended; how is not known, as another controller had started it";
      listener.onExit({
        description: output?.behind(what) ?? what,
        code: null,
        signal: null,
      });
      this.#gone.resolve();
    };
    const look = (): void => {
      clearInterval(this.#looking);
      this.#looking = setInterval(() => {
        if (!isSameProcess(found)) end();
      }, LOOK_MS);
    };
    look();
  }

  send(message: Parameters<ReplicaProcess["send"]>[0]): void {
    this.#slot.send(message);
  }

  kill(): void {
    if (!isSameProcess(this.#options.found)) return;
    try {
      process.kill(-this.pid, "SIGKILL");
    } catch {
      // The group is empty.
    }
  }

  end(): Promise<void> {
    this.kill();
    return this.#gone.promise;
  }
}
