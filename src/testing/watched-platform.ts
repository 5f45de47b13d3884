import type { Platform } from "../app/instance.ts";
import type { Engine, ReplicaProcess, ReplicaProcessListener } from "../core/contracts/engine.ts";
import type { ReplicaSpec } from "../core/deployment/spec.ts";
import type { ReplicaTarget } from "../core/router/snapshot.ts";
import type { Poller } from "../wire/poller.ts";
import type { Transport } from "../wire/transport.ts";

interface Started {
  readonly spec: ReplicaSpec;
  readonly process: ReplicaProcess;
}

/** A platform that remembers which replicas it runs and which connections are open, so that a test can kill and count them. */
export class WatchedPlatform implements Platform {
  readonly #platform: Platform;
  readonly #replicas = new Map<string, Started>();
  readonly #connections: Transport[] = [];
  /** One for each engine, because a controller tells engines apart by identity. */
  readonly #engines = new Map<Engine, Engine>();

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  get replicas(): readonly Started[] {
    return [...this.#replicas.values()];
  }

  get openConnections(): number {
    return this.#connections.filter(({ connected }) => connected).length;
  }

  get poller(): Poller | undefined {
    return this.#platform.poller;
  }

  engine(isolation: "process" | "thread"): Engine {
    const engine = this.#platform.engine(isolation);
    let watched = this.#engines.get(engine);
    if (watched === undefined) {
      watched = {
        kind: engine.kind,
        start: (spec, listener) => this.#start(engine, spec, listener),
        close: () => engine.close(),
      };
      this.#engines.set(engine, watched);
    }
    return watched;
  }

  open(target: ReplicaTarget): Transport {
    const transport = this.#platform.open(target);
    this.#connections.push(transport);
    return transport;
  }

  close(): Promise<void> {
    return this.#platform.close();
  }

  #start(engine: Engine, spec: ReplicaSpec, listener: ReplicaProcessListener): ReplicaProcess {
    const process = engine.start(spec, {
      onMessage: (message) => listener.onMessage(message),
      onExit: (exit) => {
        this.#replicas.delete(spec.replicaId);
        listener.onExit(exit);
      },
    });
    this.#replicas.set(spec.replicaId, { spec, process });
    return process;
  }
}
