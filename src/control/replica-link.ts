import type { ReplicaMessage } from "../core/contracts/control-messages.ts";
import type { Directory } from "../core/contracts/directory.ts";
import type { ReplicaExit, ReplicaProcess, ReplicaProcessListener } from "../core/contracts/engine.ts";
import type { ReplicaEvent } from "../core/controller/observe.ts";
import type { Action } from "../core/controller/reconcile.ts";
import { answerStatus, Subscriptions } from "./subscriptions.ts";

/** What a link needs from the controller. */
export interface ReplicaLinkOptions {
  /** Starts the replica, or takes it over. @throws whatever the engine throws if it cannot even begin. */
  begin(listener: ReplicaProcessListener): ReplicaProcess;
  readonly directory: Directory;
  onEvent(event: ReplicaEvent): void;
  /** Answers `serve.status()` from inside the replica. */
  status(): unknown;
}

/** The controller's end of one replica: its process, and the subscriptions of its handles. */
export class ReplicaLink {
  readonly #options: ReplicaLinkOptions;
  readonly #subscriptions: Subscriptions;
  readonly #process: ReplicaProcess;

  /** @throws whatever `begin` throws. */
  constructor(options: ReplicaLinkOptions) {
    this.#options = options;
    this.#subscriptions = new Subscriptions(options.directory, (message) => this.#process.send(message));
    this.#process = options.begin({
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
      case "unsubscribe":
        this.#subscriptions.receive(message);
        return;
      case "call":
        answerStatus(
          message.id,
          () => this.#options.status(),
          (answer) => this.#process.send(answer),
        );
        return;
      default:
        this.#options.onEvent(message);
    }
  }

  #end(exit: ReplicaExit): void {
    this.#subscriptions.end();
    this.#options.onEvent({ type: "exited", description: exit.description });
  }
}
