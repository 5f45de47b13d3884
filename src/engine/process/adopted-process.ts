import type { ControlServer, ControlSlot } from "../control-server.ts";
import type { KeptProcess } from "./kept-processes.ts";
import { isSameProcess } from "./process-mark.ts";
import type { Reaper } from "./reaper.ts";

export interface AdoptedProcessOptions<TIn> {
  readonly found: KeptProcess<unknown>;
  readonly control: ControlServer;
  readonly reaper: Reaper;
  onMessage(message: TIn): void;
  /** Once, when it is gone. How it ended nobody knows: it is no child of this process. */
  onGone(): void;
}

/** How often it is looked whether the process is there, while no connection tells. */
const LOOK_MS = 50;
/** How long it may take to exit when its connection has ended. */
export const EXIT_MS = 2_000;

/** A process that a controller before this one has started, and its control connection. */
export class AdoptedProcess<TOut, TIn> {
  readonly #found: KeptProcess<unknown>;
  readonly #slot: ControlSlot<TOut, TIn>;
  readonly #onGone: () => void;
  readonly #gone = Promise.withResolvers<void>();
  #looking: NodeJS.Timeout | undefined = undefined;
  #killTimer: NodeJS.Timeout | undefined = undefined;

  constructor(options: AdoptedProcessOptions<TIn>) {
    const { found, control, reaper } = options;
    this.#found = found;
    this.#onGone = () => {
      reaper.forget(found.pid);
      options.onGone();
    };
    reaper.watch(found.pid, found.id);
    this.#slot = control.expect<TOut, TIn>(found.id, {
      onMessage: (message) => {
        // From now on the connection tells of its end.
        clearInterval(this.#looking);
        options.onMessage(message);
      },
      onClosed: () => {
        this.#killTimer ??= setTimeout(() => this.kill(), EXIT_MS).unref();
        this.#look();
      },
    });
    this.#look();
  }

  send(message: TOut): void {
    this.#slot.send(message);
  }

  kill(): void {
    if (!isSameProcess(this.#found)) return;
    try {
      process.kill(-this.#found.pid, "SIGKILL");
    } catch {
      // The group is empty.
    }
  }

  end(): Promise<void> {
    this.kill();
    return this.#gone.promise;
  }

  #look(): void {
    clearInterval(this.#looking);
    this.#looking = setInterval(() => {
      if (isSameProcess(this.#found)) return;
      clearInterval(this.#looking);
      clearTimeout(this.#killTimer);
      this.#slot.close();
      this.#onGone();
      this.#gone.resolve();
    }, LOOK_MS);
  }
}
