import { rmSync } from "node:fs";
import type { ReplicaMessage } from "../../core/contracts/control-messages.ts";
import type { ReplicaProcess, ReplicaProcessListener } from "../../core/contracts/engine.ts";
import type { ReplicaSpec } from "../../core/deployment/spec.ts";
import { AdoptedProcess } from "./adopted-process.ts";
import { socketOf } from "./child-replica.ts";
import type { ProcessEngineOptions } from "./engine.ts";
import type { KeptProcess } from "./kept-processes.ts";

export interface AdoptedOptions {
  readonly found: KeptProcess<Omit<ReplicaSpec, "target">>;
  readonly listener: ReplicaProcessListener;
  onGone(): void;
}

/** A replica that a controller before this one has started. */
export class AdoptedReplica implements ReplicaProcess {
  readonly pid: number;
  readonly #process: AdoptedProcess<Parameters<ReplicaProcess["send"]>[0], ReplicaMessage>;

  constructor(engine: ProcessEngineOptions, { found, listener, onGone }: AdoptedOptions) {
    const { id, pid } = found;
    this.pid = pid;
    // It goes on writing to it; only the end of that is of interest here.
    const output = engine.openOutput?.(found.about);
    output?.close();
    this.#process = new AdoptedProcess({
      ...engine,
      found,
      onMessage: (message) => listener.onMessage(message),
      onGone() {
        engine.kept?.processes.forget(id);
        rmSync(socketOf(engine.directory, id), { force: true });
        onGone();
        const what = "ended; how is not known, as another controller had started it";
        listener.onExit({ description: output?.behind(what) ?? what, code: null, signal: null });
      },
    });
  }

  send(message: Parameters<ReplicaProcess["send"]>[0]): void {
    this.#process.send(message);
  }

  kill(): void {
    this.#process.kill();
  }

  end(): Promise<void> {
    return this.#process.end();
  }
}
