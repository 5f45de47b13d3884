import type { ControllerMessage, ReplicaMessage } from "../core/contracts/control-messages.ts";
import type { Directory } from "../core/contracts/directory.ts";
import { answerStatus, Subscriptions } from "./subscriptions.ts";

export interface GuestOptions {
  readonly directory: Directory;
  status(): unknown;
  send(message: ControllerMessage): void;
}

/** The controller's end of a process that only calls: no replica, and of no consequence when it goes. */
export class Guest {
  readonly #options: GuestOptions;
  readonly #subscriptions: Subscriptions;

  constructor(options: GuestOptions) {
    this.#options = options;
    this.#subscriptions = new Subscriptions(options.directory, (message) => options.send(message));
  }

  /** What only replicas say is ignored. */
  onMessage(message: ReplicaMessage): void {
    if (message.type === "subscribe" || message.type === "unsubscribe") this.#subscriptions.receive(message);
    else if (message.type === "call")
      answerStatus(
        message.id,
        () => this.#options.status(),
        (answer) => this.#options.send(answer),
      );
  }

  /** Idempotent. */
  onClosed(): void {
    this.#subscriptions.end();
  }
}
