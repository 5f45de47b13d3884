import type { Clock, Timer } from "../../core/contracts/clock.ts";
import type { Log } from "../../core/contracts/log.ts";
import { HeliostatError } from "../../core/errors.ts";
import type { AppTraffic } from "../../proxy/traffic.ts";
import type { Route } from "../../proxy/route-table.ts";
import type { HttpTimeouts, ProxyProcessStatus } from "./http-proxy.ts";
import type { ProxyCommand, ProxyProcess, ProxyReport, StartProxyProcess } from "./proxy-messages.ts";
import { ProxyWatch } from "./proxy-watch.ts";
import { summedTraffic } from "./summed-traffic.ts";

export interface ProxyWorkerOptions {
  readonly start: StartProxyProcess;
  /** Gives the first process in place of `start`: one that serves already. */
  readonly adopt?: StartProxyProcess;
  readonly clock: Clock;
  readonly log: Log;
}

/** Where a proxy listens. */
export interface Listening {
  readonly url: string;
  readonly port: number;
}

/** What each process of a worker is told before it begins. */
export interface Serving {
  /** undefined: as they are. */
  readonly routes: readonly Route[] | undefined;
  readonly timeouts: HttpTimeouts | undefined;
}

/** A process that has served so long was well: the next one is not kept waiting for what comes after. */
const WELL_MS = 10_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** A proxy runs no code of users: one that has not answered by then is in trouble, and whoever asks goes on. */
const ANSWER_MS = 10_000;
/** One that has waited for a controller comes back once a second at least. */
const REPORT_MS = 5_000;
/** One that is told to close has this long. */
const CLOSE_MS = 2_000;

/** Keeps one proxy process serving: when it ends, another one takes its place, at the same port. */
export class ProxyWorker {
  readonly #options: ProxyWorkerOptions;
  readonly #waiting = new Map<number, () => void>();
  readonly #watch: ProxyWatch;
  #asked = 0;
  #process: ProxyProcess | undefined;
  /** The process that there is now, or was last. */
  #pid: number | undefined = undefined;
  #opening: PromiseWithResolvers<Listening> | undefined = undefined;
  #place: Listening | undefined = undefined;
  #listensSinceMs: number | undefined = undefined;
  #serving: Serving = { routes: undefined, timeouts: undefined };
  /** Processes that have ended before they were well, in a row. */
  #setbacks = 0;
  #pause: Timer | undefined = undefined;
  #isDraining = false;
  #closing: Promise<void> | undefined = undefined;
  #onGone: (() => void) | undefined = undefined;
  /** What processes before this one have answered, and this one as far as it has told. */
  #past: readonly AppTraffic[] = [];
  #present: readonly AppTraffic[] = [];

  /** Its first process starts up, and waits to be told where to listen; one that is adopted says where it does. */
  constructor(options: ProxyWorkerOptions) {
    this.#options = options;
    this.#watch = new ProxyWatch({
      clock: options.clock,
      ask: () => this.#ask((id) => ({ type: "traffic", id }), ANSWER_MS),
      onHung: () => this.#process?.kill(),
    });
    this.#process = this.#start(options.adopt ?? options.start);
  }

  /** undefined as long as no process could be started. */
  get status(): ProxyProcessStatus | undefined {
    if (this.#pid === undefined) return undefined;
    const status =
      this.#process === undefined
        ? "UNHEALTHY"
        : this.#isDraining
          ? "DRAINING"
          : this.#listensSinceMs === undefined
            ? "STARTING"
            : "HEALTHY";
    return { pid: this.#pid, status };
  }

  /** Begins to serve; what keeps the first process from it is an error. */
  listen(port: number, isAlone: boolean): Promise<Listening> {
    this.#opening = Promise.withResolvers();
    if (this.#process === undefined) this.#opening.reject(new HeliostatError("The proxy's process has ended."));
    else this.#process.send({ type: "listen", port, isAlone });
    return this.#opening.promise;
  }

  /** Goes on with an adopted process; one that does not report in time is ended, and that is an error. */
  async join(): Promise<Listening> {
    this.#opening = Promise.withResolvers();
    const timer = this.#options.clock.setTimer(REPORT_MS, () => this.#process?.kill());
    try {
      return await this.#opening.promise;
    } finally {
      timer.cancel();
    }
  }

  /** Resolves when it serves these routes. */
  async serve(serving: Serving): Promise<void> {
    this.#serving = serving;
    if (this.#process !== undefined) await this.#tell(this.#process);
  }

  async traffic(): Promise<readonly AppTraffic[]> {
    await this.#ask((id) => ({ type: "traffic", id }), ANSWER_MS);
    return summedTraffic([this.#past, this.#present]);
  }

  async drain(timeoutMs: number): Promise<void> {
    this.#isDraining = true;
    this.#watch.stop();
    this.#pause?.cancel();
    await this.#ask((id) => ({ type: "drain", id, timeoutMs }), timeoutMs + ANSWER_MS);
  }

  /** Resolves when its process is gone. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#isDraining = true;
    this.#watch.stop();
    this.#pause?.cancel();
    const process = this.#process;
    if (process === undefined) return;
    const gone = new Promise<void>((resolve) => (this.#onGone = resolve));
    process.send({ type: "close" });
    const timer = this.#options.clock.setTimer(CLOSE_MS, () => process.kill());
    await gone;
    timer.cancel();
  }

  #start(start: StartProxyProcess): ProxyProcess {
    const started = start({
      onReport: (report) => this.#receive(report),
      onExit: (how) => this.#lose(how),
    });
    this.#pid = started.pid ?? this.#pid;
    return started;
  }

  /** Another process, which gets its routes before it takes requests. */
  #restart(): void {
    const process = (this.#process = this.#start(this.#options.start));
    void this.#tell(process);
    process.send({ type: "listen", port: this.#place!.port, isAlone: false });
  }

  async #tell(process: ProxyProcess): Promise<void> {
    const { routes, timeouts } = this.#serving;
    if (timeouts !== undefined) process.send({ type: "timeouts", ...timeouts });
    if (routes !== undefined) await this.#ask((id) => ({ type: "routes", id, routes }), ANSWER_MS);
  }

  /** Whether it has answered in time; yes if there is nobody to answer. */
  async #ask(command: (id: number) => ProxyCommand, withinMs: number): Promise<boolean> {
    const process = this.#process;
    if (process === undefined) return true;
    const id = ++this.#asked;
    return new Promise((resolve) => {
      const timer = this.#options.clock.setTimer(withinMs, () => {
        this.#options.log.warn(`Proxy process ${process.pid} has not answered for ${withinMs} ms.`);
        this.#waiting.delete(id);
        resolve(false);
      });
      this.#waiting.set(id, () => {
        timer.cancel();
        this.#waiting.delete(id);
        resolve(true);
      });
      process.send(command(id));
    });
  }

  #receive(report: ProxyReport): void {
    switch (report.type) {
      case "listening":
        this.#place = { url: report.url, port: report.port };
        this.#listensSinceMs = this.#options.clock.now();
        if (!this.#isDraining) this.#watch.start();
        this.#opening?.resolve(this.#place);
        return;
      case "failed":
        if (this.#place === undefined) this.#opening?.reject(report.error);
        else this.#options.log.error(`Proxy process ${this.#pid} cannot serve: ${(report.error as Error).message}`);
        return;
      case "traffic":
        this.#present = report.apps;
        return;
      case "done":
        this.#waiting.get(report.id)?.();
    }
  }

  #lose(how: string): void {
    const { clock, log } = this.#options;
    const wasWell = this.#listensSinceMs !== undefined && clock.now() - this.#listensSinceMs >= WELL_MS;
    this.#watch.stop();
    this.#process = undefined;
    this.#listensSinceMs = undefined;
    this.#past = summedTraffic([this.#past, this.#present]);
    this.#present = [];
    for (const answer of [...this.#waiting.values()]) answer();
    this.#onGone?.();
    if (this.#place === undefined) this.#opening?.reject(new HeliostatError(`The proxy's process ${how}.`));
    if (this.#place === undefined || this.#isDraining) return;
    this.#setbacks = wasWell ? 0 : this.#setbacks + 1;
    const pauseMs = this.#setbacks < 2 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#setbacks - 2));
    const when = pauseMs === 0 ? "at once" : `in ${pauseMs} ms`;
    log.warn(`Proxy process ${this.#pid} ${how}: its connections are lost, and another takes its place ${when}.`);
    this.#pause = clock.setTimer(pauseMs, () => this.#restart());
  }
}
