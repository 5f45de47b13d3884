import type { ControllerMessage, ReplicaMessage } from "../core/contracts/control-messages.ts";
import type { Directory } from "../core/contracts/directory.ts";

/** The controller's end of one process that makes calls: which deployments its handles follow. */
export class Subscriptions {
  readonly #directory: Directory;
  readonly #send: (message: ControllerMessage) => void;
  readonly #ends = new Map<string, () => void>();

  constructor(directory: Directory, send: (message: ControllerMessage) => void) {
    this.#directory = directory;
    this.#send = send;
  }

  receive({ type, app, deployment }: Extract<ReplicaMessage, { type: "subscribe" | "unsubscribe" }>): void {
    const key = JSON.stringify([app, deployment]);
    const end = this.#ends.get(key);
    if (type === "unsubscribe") {
      end?.();
      this.#ends.delete(key);
    } else if (end === undefined) {
      this.#ends.set(
        key,
        this.#directory.subscribe(app, deployment, (snapshot) => this.#send({ type: "snapshot", snapshot })),
      );
    }
  }

  /** The process is gone. Idempotent. */
  end(): void {
    for (const end of this.#ends.values()) end();
    this.#ends.clear();
  }
}

/** Answers `serve.status()` from another process. */
export function answerStatus(id: number, status: () => unknown, send: (message: ControllerMessage) => void): void {
  try {
    send({ type: "called", id, value: status() });
  } catch (error) {
    send({ type: "called", id, error });
  }
}
