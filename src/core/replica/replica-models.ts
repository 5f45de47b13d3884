import type { Clock, Timer } from "../contracts/clock.ts";

/** What keeps models in a replica. */
export interface ModelHolder {
  /** Those held or loading. */
  readonly modelIds: readonly string[];
  /** Disposes of everything; nothing can be asked for afterwards. */
  close(): Promise<void>;
}

export interface ReplicaModelsOptions {
  readonly clock: Clock;
  announce(modelIds: readonly string[]): void;
}

/** Each announcement goes to every caller, so a replica that changes its models all the time makes one in this time. */
const PERIOD_MS = 100;

/** All models in one replica, whichever loaders they came by: tells the controller of every change, and ends them all. */
export class ReplicaModels {
  readonly #options: ReplicaModelsOptions;
  readonly #holders = new Set<ModelHolder>();
  #state: "starting" | "open" | "closed" = "starting";
  #announced = "";
  #isDue = false;
  #timer: Timer | undefined = undefined;
  #lastMs = -Infinity;

  constructor(options: ReplicaModelsOptions) {
    this.#options = options;
  }

  add(holder: ModelHolder): void {
    this.#holders.add(holder);
  }

  /** The replica is ready: what it loaded while it started is known from now on. */
  open(): void {
    if (this.#state === "closed") return;
    this.#state = "open";
    this.changed();
  }

  /** Another model is held or loading, or one is not any more. */
  changed(): void {
    if (this.#state !== "open" || this.#isDue) return;
    const { clock } = this.#options;
    this.#isDue = true;
    const waitMs = this.#lastMs + PERIOD_MS - clock.now();
    if (waitMs > 0) this.#timer = clock.setTimer(waitMs, () => this.#announce());
    else clock.nextTurn(() => this.#announce());
  }

  /** Disposes of all models and resolves when they are gone. */
  async close(): Promise<void> {
    this.abandon();
    await Promise.all([...this.#holders].map((holder) => holder.close()));
  }

  /** Announces nothing any more. */
  abandon(): void {
    this.#state = "closed";
    this.#timer?.cancel();
  }

  #announce(): void {
    this.#isDue = false;
    if (this.#state !== "open") return;
    const modelIds = [...new Set([...this.#holders].flatMap((holder) => holder.modelIds))].toSorted();
    const announced = JSON.stringify(modelIds);
    if (announced === (this.#announced || "[]")) return;
    this.#announced = announced;
    this.#lastMs = this.#options.clock.now();
    this.#options.announce(modelIds);
  }
}
