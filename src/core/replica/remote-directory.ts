import type { Directory } from "../contracts/directory.ts";
import type { ReplicaMessage } from "../contracts/control-messages.ts";
import type { DeploymentSnapshot } from "../router/snapshot.ts";

type OnSnapshot = (snapshot: DeploymentSnapshot) => void;

/** The controller's directory as seen from a replica: asks once for each deployment, and hears of every change. */
export class RemoteDirectory implements Directory {
  readonly #send: (message: ReplicaMessage) => void;
  /** The next controller counts from one again, but routers want a number that grows. */
  #version = 0;
  readonly #listeners = new Map<string, Set<OnSnapshot>>();

  constructor(send: (message: ReplicaMessage) => void) {
    this.#send = send;
  }

  subscribe(app: string, deployment: string, onSnapshot: OnSnapshot): () => void {
    const key = `${app}\n${deployment}`;
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(onSnapshot));
    this.#send({ type: "subscribe", app, deployment });
    return () => {
      if (!listeners.delete(onSnapshot) || listeners.size > 0) return;
      this.#listeners.delete(key);
      this.#send({ type: "unsubscribe", app, deployment });
    };
  }

  /** A snapshot came from the controller. */
  update(snapshot: DeploymentSnapshot): void {
    const listeners = this.#listeners.get(`${snapshot.app}\n${snapshot.deployment}`);
    this.#version += 1;
    if (listeners !== undefined)
      for (const onSnapshot of listeners) onSnapshot({ ...snapshot, version: this.#version });
  }

  /** Asks another controller for everything that is followed. */
  askAgain(): void {
    for (const key of this.#listeners.keys()) {
      const [app, deployment] = key.split("\n") as [string, string];
      this.#send({ type: "subscribe", app, deployment });
    }
  }
}
