/** The usual codes of processes that a signal has ended. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
type Handled = keyof typeof EXIT_CODES;

/**
 * Stops everything in order when the driver is told to end, unless the script handles the signal itself. A second
 * signal ends at once; what is left then is cleaned up from outside.
 */
export class SignalHandler {
  readonly #stop: () => Promise<void>;
  readonly #listeners: Readonly<Record<Handled, () => void>> = {
    SIGINT: () => this.#on("SIGINT"),
    SIGTERM: () => this.#on("SIGTERM"),
  };
  #installed = false;
  #stopping = false;

  constructor(stop: () => Promise<void>) {
    this.#stop = stop;
  }

  /** The process is about to end because it was told to. */
  get isStopping(): boolean {
    return this.#stopping;
  }

  install(): void {
    if (this.#installed) return;
    this.#installed = true;
    for (const signal of signals) process.on(signal, this.#listeners[signal]);
  }

  remove(): void {
    if (this.#stopping) return;
    this.#installed = false;
    for (const signal of signals) process.removeListener(signal, this.#listeners[signal]);
  }

  #on(signal: Handled): void {
    if (process.listenerCount(signal) > 1) return;
    if (this.#stopping) process.exit(EXIT_CODES[signal]);
    this.#stopping = true;
    const exit = (): never => process.exit(EXIT_CODES[signal]);
    this.#stop().then(exit, exit);
  }
}

const signals: readonly Handled[] = ["SIGINT", "SIGTERM"];
