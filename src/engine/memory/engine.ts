import type { ControllerMessage, ReplicaMessage } from "../../core/contracts/control-messages.ts";
import type { Clock } from "../../core/contracts/clock.ts";
import type { ContextStore } from "../../core/contracts/context-store.ts";
import type { Engine, ReplicaProcess, ReplicaProcessListener } from "../../core/contracts/engine.ts";
import type { Log } from "../../core/contracts/log.ts";
import type { ReplicaSpec } from "../../core/deployment/spec.ts";
import type { RequestScope } from "../../core/handle/context.ts";
import type { Deadlines } from "../../core/handle/deadlines.ts";
import type { ReplicaIdentity } from "../../core/replica/replica.ts";
import type { ReplicaFacilities } from "../../core/replica/workplace.ts";
import { ReplicaHost } from "../../core/replica/replica-host.ts";
import type { ReplicaTarget } from "../../core/router/snapshot.ts";
import { memoryPair } from "../../transport/memory.ts";
import { Acceptor } from "../../wire/acceptor.ts";
import { ByteReader } from "../../wire/codec/reader.ts";
import { ByteWriter } from "../../wire/codec/writer.ts";
import type { Transport } from "../../wire/transport.ts";
import { containment } from "../containment.ts";
import type { WireContext } from "../../wire/wire-context.ts";

export interface MemoryEngineOptions {
  readonly context: WireContext;
  readonly clock: Clock;
  readonly contexts: ContextStore<RequestScope>;
  readonly residence: ContextStore<ReplicaIdentity>;
  /** Where `batch` and `multiplexed` look for their replica; without it they take it for none. */
  readonly facilities?: WeakMap<ReplicaIdentity, ReplicaFacilities>;
  /** Those of the one caller that all replicas here share. */
  readonly deadlines: Deadlines;
  readonly log: Log;
}

/**
 * Runs replicas in this process, for local mode and tests: the same replica, admission and sessions as anywhere, and
 * every value is still encoded and decoded, so that what works here works in another process.
 */
export class MemoryEngine implements Engine {
  readonly kind = "memory";
  readonly #options: MemoryEngineOptions;
  readonly #replicas = new Map<string, MemoryReplica>();

  constructor(options: MemoryEngineOptions) {
    this.#options = options;
  }

  start(spec: ReplicaSpec, listener: ReplicaProcessListener): ReplicaProcess {
    const replica = new MemoryReplica(this.#options, spec, {
      onMessage: (message) => listener.onMessage(message),
      onExit: (exit) => {
        this.#replicas.delete(spec.replicaId);
        listener.onExit(exit);
      },
    });
    this.#replicas.set(spec.replicaId, replica);
    return replica;
  }

  /** A connection to one of its replicas. */
  open(target: ReplicaTarget): Transport {
    const [near, far] = memoryPair();
    const acceptor = this.#replicas.get(target.address.memory ?? "")?.acceptor;
    if (acceptor === undefined) far.close();
    else acceptor.accept(far);
    return near;
  }

  close(): Promise<void> {
    for (const replica of [...this.#replicas.values()]) replica.kill();
    return Promise.resolve();
  }
}

class MemoryReplica implements ReplicaProcess {
  readonly pid: number = process.pid;
  acceptor: Acceptor | undefined = undefined;
  readonly #host: ReplicaHost;
  readonly #options: MemoryEngineOptions;
  readonly #listener: ReplicaProcessListener;
  #ended = false;

  constructor(options: MemoryEngineOptions, spec: ReplicaSpec, listener: ReplicaProcessListener) {
    this.#options = options;
    this.#listener = listener;
    const { clock, contexts, residence, facilities = new WeakMap(), deadlines, log, context } = options;
    this.#host = new ReplicaHost({
      spec: { ...spec, initArgs: copy(spec.initArgs, context), options: copy(spec.options, context) },
      clock,
      contexts,
      residence,
      facilities,
      deadlines,
      log,
      containment,
      load: () => Promise.resolve(spec.target!),
      listen: (replica) => {
        this.acceptor = new Acceptor(context, replica);
        return Promise.resolve({ memory: spec.replicaId });
      },
      // An object that the user goes on changing would never look like another one.
      send: (message) => this.#tell(message.type === "routing-stats" ? copy(message, context) : message),
      // Handles here share the driver's caller, which has the controller's own directory.
      onSnapshot: () => {},
      onCalled: () => {},
      end: () => this.#end("exited with code 0", null),
    });
  }

  send(message: ControllerMessage): void {
    const sent = copy(message, this.#options.context);
    this.#options.clock.nextTurn(() => {
      // What the controller's side does must not look like part of the request during which it happened to be done.
      if (!this.#ended) this.#options.contexts.call(undefined, this.#host.handle, this.#host, [sent]);
    });
  }

  kill(): void {
    this.#end("was killed", "SIGKILL");
  }

  #tell(message: ReplicaMessage): void {
    // What was said before the end still arrives, as over a socket: a replica that fails says why, and ends at once.
    if (!this.#ended) this.#options.clock.nextTurn(() => this.#listener.onMessage(message));
  }

  #end(description: string, signal: string | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#host.replica.abort(new Error(`The replica ${description}.`));
    this.#host.abandon();
    this.acceptor?.close();
    this.#options.clock.nextTurn(() =>
      this.#listener.onExit({ description, code: signal === null ? 0 : null, signal }),
    );
  }
}

/** What another process would get. @throws {SerializationError} if it cannot travel. */
function copy<T>(value: T, context: WireContext): T {
  const out = new ByteWriter(new Uint8Array(256));
  const format = context.formats.byName("structured");
  format.encode(value, out, "result");
  return format.decode(new ByteReader(out.bytes, 0, out.at)) as T;
}
