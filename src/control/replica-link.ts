import type { ReplicaMessage } from "../core/contracts/control-messages.ts";
import type { Directory } from "../core/contracts/directory.ts";
import type { Engine, ReplicaExit, ReplicaProcess } from "../core/contracts/engine.ts";
import type { ReplicaEvent } from "../core/controller/observe.ts";
import type { Action } from "../core/controller/reconcile.ts";
import type { ReplicaSpec } from "../core/deployment/spec.ts";

/** What a link needs from the controller. */
export interface ReplicaLinkOptions {
  readonly engine: Engine;
  readonly spec: ReplicaSpec;
  readonly directory: Directory;
  onEvent(event: ReplicaEvent): void;
  /** Answers `serve.status()` from inside the replica. */
  status(): unknown;
}

/** The controller's end of one replica: its process, and the subscriptions of its handles. */
export class ReplicaLink {
  readonly #options: ReplicaLinkOptions;
  readonly #subscriptions = new Map<string, () => void>();
  readonly #process: ReplicaProcess;

  /** Starts the replica. @throws whatever the engine throws if it cannot even begin. */
  constructor(options: ReplicaLinkOptions) {
    this.#options = options;
    this.#process = options.engine.start(options.spec, {
      onMessage: (message) => this.#receive(message),
      onExit: (exit) => this.#end(exit),
    });
    this.#process.send({ type: "initialize" });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  perform(action: Exclude<Action, { type: "start" }>): void {
    switch (action.type) {
      case "stop":
        this.#process.send({ type: "stop", timeoutMs: action.timeoutMs });
        return;
      case "kill":
        this.#process.kill();
        return;
      case "check-health":
        this.#process.send({ type: "check-health", id: action.id });
        return;
      case "reconfigure": {
        const { id, options, userConfig } = action;
        this.#process.send({ type: "reconfigure", id, options, ...(userConfig === undefined ? {} : { userConfig }) });
        return;
      }
    }
  }

  #receive(message: ReplicaMessage): void {
    switch (message.type) {
      case "subscribe":
        this.#subscribe(message.app, message.deployment);
        return;
      case "unsubscribe": {
        const key = JSON.stringify([message.app, message.deployment]);
        this.#subscriptions.get(key)?.();
        this.#subscriptions.delete(key);
        return;
      }
      case "call":
        this.#answer(message.id);
        return;
      default:
        this.#options.onEvent(message);
    }
  }

  #subscribe(app: string, deployment: string): void {
    const key = JSON.stringify([app, deployment]);
    if (this.#subscriptions.has(key)) return;
    const end = this.#options.directory.subscribe(app, deployment, (snapshot) =>
      this.#process.send({ type: "snapshot", snapshot }),
    );
    this.#subscriptions.set(key, end);
  }

  #answer(id: number): void {
    try {
      this.#process.send({ type: "called", id, value: this.#options.status() });
    } catch (error) {
      this.#process.send({ type: "called", id, error });
    }
  }

  #end(exit: ReplicaExit): void {
    for (const end of this.#subscriptions.values()) end();
    this.#subscriptions.clear();
    this.#options.onEvent({ type: "exited", description: exit.description });
  }
}
