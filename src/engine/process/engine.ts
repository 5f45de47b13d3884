import { existsSync } from "node:fs";
import type { Engine, RecoveredReplica, ReplicaProcess, ReplicaProcessListener } from "../../core/contracts/engine.ts";
import type { ReplicaSpec } from "../../core/deployment/spec.ts";
import type { WireContext } from "../../wire/wire-context.ts";
import type { ControlServer } from "../control-server.ts";
import { AdoptedReplica } from "./adopted-replica.ts";
import { ChildReplica, socketOf } from "./child-replica.ts";
import type { KeptProcesses } from "./kept-processes.ts";
import type { OutputFile } from "./output-file.ts";
import type { Reaper } from "./reaper.ts";
import type { RuntimeDirectory } from "./runtime-directory.ts";

export interface ProcessEngineOptions {
  readonly context: WireContext;
  readonly control: ControlServer;
  readonly directory: RuntimeDirectory;
  readonly reaper: Reaper;
  /** Replicas outlive their controller for so long, and the next one takes them over. @default they end with it */
  readonly kept?:
    | { readonly processes: KeptProcesses<Omit<ReplicaSpec, "target">>; readonly adoptionMs: number }
    | undefined;
  /** Opens what a replica writes to. @default what this process writes to */
  openOutput?(spec: Pick<ReplicaSpec, "app" | "replicaId">): OutputFile | undefined;
}

/** Runs each replica as a process of its own. */
export class ProcessEngine implements Engine {
  readonly kind = "process";
  readonly #options: ProcessEngineOptions;
  readonly #running = new Set<ChildReplica | AdoptedReplica>();

  constructor(options: ProcessEngineOptions) {
    this.#options = options;
  }

  start(spec: ReplicaSpec, listener: ReplicaProcessListener): ReplicaProcess {
    return this.#add((onGone) => new ChildReplica(this.#options, { spec, listener, onGone }));
  }

  recover(): readonly RecoveredReplica[] {
    const { directory, kept } = this.#options;
    return (kept?.processes.find() ?? []).map((found) => {
      const socketPath = socketOf(directory, found.id);
      return {
        spec: { ...found.about, target: undefined },
        startedWallMs: found.startedWallMs,
        // A replica listens when it is ready, and not before.
        address: existsSync(socketPath) ? { socketPath } : undefined,
        adopt: (listener) => this.#add((onGone) => new AdoptedReplica(this.#options, { found, listener, onGone })),
      };
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((replica) => replica.end()));
  }

  #add<T extends ChildReplica | AdoptedReplica>(make: (onGone: () => void) => T): T {
    const replica = make(() => this.#running.delete(replica));
    this.#running.add(replica);
    return replica;
  }
}
