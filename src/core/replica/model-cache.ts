import type { Clock } from "../contracts/clock.ts";
import type { Log } from "../contracts/log.ts";
import { HeliostatError, ReplicaUnavailableError } from "../errors.ts";
import { endOf, type RequestScope } from "../handle/context.ts";
import { dispose } from "./instance.ts";
import { isDeadlocked } from "./model-deadlock.ts";
import { ModelEntry, ModelWaiter } from "./model-entry.ts";
import type { ModelHolder } from "./replica-models.ts";
import { downstreamEnd } from "./downstream-end.ts";
import { SharedScope } from "./shared-scope.ts";

export interface ModelCacheOptions<M> {
  readonly clock: Clock;
  readonly log: Log;
  /** Infinity: no limit. */
  readonly maxModels: number;
  readonly maxBytes: number;
  sizeOf?(model: M): number;
  load(modelId: string, signal: AbortSignal): Promise<M>;
  /** Runs user code for this cache's replica; `scope` is that of the requests it is for. */
  run<T>(scope: RequestScope | undefined, fn: () => T): T;
  /** The models held or loading are others now. */
  onChange(): void;
}

/** How long a stopping replica waits for loads that do not care about their signal. */
const LAST_LOAD_MS = 1_000;

/** The models of one loader in one replica: loads them, keeps those used last, and disposes of them when nobody uses them. */
export class ModelCache<M> implements ModelHolder {
  readonly #options: ModelCacheOptions<M>;
  /** Those that who asks gets; the one used last is last. */
  readonly #entries = new Map<string, ModelEntry<M>>();
  /** Retired ones that still take a place. */
  readonly #leaving = new Set<ModelEntry<M>>();
  /** Entries that wait for a place, first come first. */
  readonly #queue: ModelEntry<M>[] = [];
  #isClosed = false;

  constructor(options: ModelCacheOptions<M>) {
    this.#options = options;
  }

  get modelIds(): readonly string[] {
    return [...this.#entries.values()].flatMap(({ modelId, phase }) => (phase === "queued" ? [] : [modelId]));
  }

  get(modelId: string, scope: RequestScope | undefined): Promise<M> {
    if (this.#isClosed)
      return Promise.reject(new ReplicaUnavailableError(`Model "${modelId}" was not loaded: its replica is stopping.`));
    const end = endOf(scope);
    if (end !== undefined) return Promise.reject(downstreamEnd(end));
    let entry = this.#entries.get(modelId);
    if (entry === undefined) {
      entry = new ModelEntry(modelId);
      this.#queue.push(entry);
    } else {
      this.#entries.delete(modelId);
    }
    this.#entries.set(modelId, entry);
    if (entry.phase === "held") {
      const model = entry.model!;
      this.#use(entry, scope);
      return Promise.resolve(model);
    }
    const waiting = entry;
    const waiter = new ModelWaiter<M>(scope, () => {
      waiting.waiters.delete(waiter);
      this.#advance();
    });
    entry.waiters.add(waiter);
    this.#use(entry, scope);
    this.#advance();
    return waiter.outcome.promise;
  }

  async unload(modelId: string): Promise<void> {
    const entry = this.#entries.get(modelId);
    // One that only waits for a place holds nothing, and is waited for.
    if (entry !== undefined && entry.phase !== "queued") {
      this.#retire(entry);
      if (entry.phase === "loading" && entry.isIdle)
        entry.stopLoading(new HeliostatError(`Model "${modelId}" was unloaded.`));
    }
    await Promise.all([...this.#leaving].map((each) => (each.modelId === modelId ? each.gone : undefined)));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const stopping = new ReplicaUnavailableError("The replica is stopping.");
    for (const entry of this.#queue.splice(0)) {
      this.#entries.delete(entry.modelId);
      entry.reject(stopping);
    }
    const last = [...this.#entries.values()];
    for (const entry of last) {
      this.#retire(entry);
      if (entry.phase === "loading") entry.stopLoading(stopping);
    }
    const left = [...this.#leaving];
    // Requests that are still running have had their time.
    for (const entry of left) if (entry.phase === "held") void this.#dispose(entry);
    const timeout = Promise.withResolvers<void>();
    const timer = left.some(({ phase }) => phase === "loading")
      ? this.#options.clock.setTimer(LAST_LOAD_MS, timeout.resolve)
      : undefined;
    await Promise.all(
      left.map((entry) => (entry.phase === "loading" ? Promise.race([entry.gone, timeout.promise]) : entry.gone)),
    );
    timer?.cancel();
  }

  /** Keeps the model while the request runs. */
  #use(entry: ModelEntry<M>, scope: RequestScope | undefined): void {
    if (scope === undefined || scope.isOver || entry.users.has(scope)) return;
    entry.users.add(scope);
    scope.onEnd(() => {
      entry.users.delete(scope);
      if (entry.isRetired) this.#disposeIfIdle(entry);
      else this.#advance();
    });
  }

  /** Does whatever can be done now: makes room, and loads what waits for it. */
  #advance(): void {
    while (this.#heldBytes() > this.#options.maxBytes) {
      const victim = this.#leastRecentlyUsed();
      if (victim === undefined) break;
      this.#retire(victim);
    }
    let next = this.#queue[0];
    while (next !== undefined) {
      if (next.waiters.size === 0) this.#forget(next);
      else if (this.#hasPlace()) void this.#load(next);
      else if (!this.#makePlace()) break;
      next = this.#queue[0];
    }
    this.#breakDeadlock();
  }

  #hasPlace(): boolean {
    const { maxModels, maxBytes } = this.#options;
    let taken = this.#leaving.size;
    let bytes = 0;
    for (const entry of this.#leaving) bytes += entry.bytes;
    for (const entry of this.#entries.values()) {
      if (entry.phase !== "queued") taken++;
      bytes += entry.bytes;
    }
    return taken < maxModels && bytes < maxBytes;
  }

  /** Begins to make a place for each that waits. Returns whether one is free at once. */
  #makePlace(): boolean {
    const disposing = [...this.#leaving].filter(({ phase }) => phase === "disposing").length;
    for (let i = disposing; i < this.#queue.length; i++) {
      const victim = this.#leastRecentlyUsed();
      if (victim === undefined) break;
      this.#retire(victim);
    }
    return this.#hasPlace();
  }

  #leastRecentlyUsed(): ModelEntry<M> | undefined {
    for (const entry of this.#entries.values()) if (entry.phase === "held" && entry.isIdle) return entry;
    return undefined;
  }

  #heldBytes(): number {
    let bytes = 0;
    for (const entry of this.#entries.values()) bytes += entry.bytes;
    return bytes;
  }

  async #load(entry: ModelEntry<M>): Promise<void> {
    const { load, run, sizeOf, maxBytes } = this.#options;
    const { modelId, signal } = entry;
    this.#queue.splice(this.#queue.indexOf(entry), 1);
    entry.phase = "loading";
    const scopes = [...entry.waiters].flatMap(({ scope }) => (scope === undefined ? [] : [scope]));
    const [first, ...others] = scopes;
    // It is for whoever will ask, so no request's deadline or cancellation ends it.
    const scope =
      first === undefined ? undefined : new SharedScope([first, ...others], { modelId, hasDeadline: false });
    entry.loadsIn(scope);
    this.#options.onChange();
    let model: M | undefined;
    let isLoaded = false;
    try {
      model = await run(scope, () => load(modelId, signal));
      isLoaded = true;
      if (maxBytes !== Infinity)
        entry.bytes = checkedSize(
          modelId,
          run(scope, () => sizeOf!(model!)),
        );
      entry.resolve(model);
    } catch (error) {
      if (isLoaded) await this.#destroy(modelId, model);
      this.#forget(entry);
      entry.reject(error);
      this.#options.onChange();
    }
    if (entry.isRetired) this.#disposeIfIdle(entry);
    this.#advance();
  }

  /** It goes as soon as nobody uses it. */
  #retire(entry: ModelEntry<M>): void {
    entry.isRetired = true;
    this.#entries.delete(entry.modelId);
    this.#leaving.add(entry);
    this.#options.onChange();
    this.#disposeIfIdle(entry);
  }

  #disposeIfIdle(entry: ModelEntry<M>): void {
    if (entry.phase === "held" && (entry.isIdle || this.#isClosed)) void this.#dispose(entry);
  }

  async #dispose(entry: ModelEntry<M>): Promise<void> {
    entry.phase = "disposing";
    await this.#destroy(entry.modelId, entry.model);
    this.#leaving.delete(entry);
    entry.leave();
    this.#advance();
  }

  async #destroy(modelId: string, model: unknown): Promise<void> {
    if (model === null || (typeof model !== "object" && typeof model !== "function")) return;
    try {
      await this.#options.run(undefined, () => dispose(model));
    } catch (error) {
      this.#options.log.error(`Model "${modelId}" could not be disposed of: ${String(error)}`);
    }
  }

  /** It never was, or is no more. */
  #forget(entry: ModelEntry<M>): void {
    if (this.#entries.get(entry.modelId) === entry) this.#entries.delete(entry.modelId);
    this.#leaving.delete(entry);
    const at = this.#queue.indexOf(entry);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  /** Requests that hold every place while they wait for another one would wait for ever. */
  #breakDeadlock(): void {
    for (
      let newest = this.#queue.at(-1);
      newest !== undefined && isDeadlocked(this.#queue, [...this.#entries.values(), ...this.#leaving]);
      newest = this.#queue.at(-1)
    ) {
      const held = [...this.#entries.values()].flatMap(({ modelId, phase }) =>
        phase === "queued" ? [] : [`"${modelId}"`],
      );
      this.#forget(newest);
      newest.reject(
        new HeliostatError(
          `Model "${newest.modelId}" cannot be loaded: the requests that use ${held.join(", ")} wait for another model themselves, so no place will become free. Raise maxModelsPerReplica (or maxBytes), or use fewer models in one request.`,
        ),
      );
    }
  }
}

function checkedSize(modelId: string, size: unknown): number {
  if (typeof size === "number" && size >= 0) return size;
  throw new HeliostatError(
    `sizeOf() gave ${String(size)} for model "${modelId}"; it must give a number of bytes, at least 0.`,
  );
}
