import type { Clock, Timer } from "../core/contracts/clock.ts";
import type { ControllerMessage, ReplicaMessage } from "../core/contracts/control-messages.ts";
import type { Directory } from "../core/contracts/directory.ts";
import { missingSnapshot } from "../core/controller/snapshot-builder.ts";
import { DeploymentUnavailableError } from "../core/errors.ts";
import type { DeploymentSnapshot } from "../core/router/snapshot.ts";
import type { FoundInstance } from "./find-instance.ts";

/** One connection to a controller. */
export interface ClientLink {
  send(message: ReplicaMessage): void;
  close(): void;
}

export interface ClientLinkListener {
  onMessage(message: ControllerMessage): void;
  onClosed(error: Error | undefined): void;
}

export interface ClientDirectoryOptions {
  readonly clock: Clock;
  /** undefined: there is none. */
  find(): Promise<FoundInstance | undefined>;
  /** Whether an instance that was found has not ended: its controller may be gone, and another one take over. */
  isThere(found: FoundInstance): boolean;
  connect(found: FoundInstance, listener: ClientLinkListener): ClientLink;
}

interface Topic {
  readonly app: string;
  readonly deployment: string;
  onSnapshot(snapshot: DeploymentSnapshot): void;
  /** Settles when a controller has told of it. */
  readonly heard: PromiseWithResolvers<void>;
}

/** How soon one looks again for an instance that was not there, or is gone. */
const AGAIN_MS = 1_000;
/** How soon one connects again with an instance whose controller is gone, and how seldom in the end. */
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 1_000;

/**
 * The directory of an instance in another process, which is looked for when the first deployment is asked for, and again
 * when it is gone: another one may have taken its place.
 *
 * As long as only its controller is gone, nobody is told: replicas outlive it, and callers go on with those they know.
 */
export class ClientDirectory implements Directory {
  readonly #options: ClientDirectoryOptions;
  readonly #topics = new Set<Topic>();
  readonly #questions = new Map<number, PromiseWithResolvers<unknown>>();
  #asked = 0;
  /** A controller that is started anew counts from one again, but routers want a number that grows. */
  #version = 0;
  #link: ClientLink | undefined = undefined;
  #connecting: Promise<void> | undefined = undefined;
  /** Why there is no link, once it was tried. */
  #problem: { readonly message: string; readonly isNone: boolean } | undefined = undefined;
  #again: Timer | undefined = undefined;
  /** The instance that was heard, and whose controller is gone. */
  #lost: FoundInstance | undefined = undefined;
  #retryMs = FIRST_RETRY_MS;
  #isClosed = false;

  constructor(options: ClientDirectoryOptions) {
    this.#options = options;
  }

  get isBusy(): boolean {
    return this.#questions.size > 0;
  }

  subscribe(app: string, deployment: string, onSnapshot: (snapshot: DeploymentSnapshot) => void): () => void {
    const topic: Topic = { app, deployment, onSnapshot, heard: Promise.withResolvers() };
    this.#topics.add(topic);
    if (this.#link !== undefined) this.#link.send({ type: "subscribe", app, deployment });
    else if (this.#lost === undefined) void this.#connect();
    return () => {
      this.#topics.delete(topic);
      this.#link?.send({ type: "unsubscribe", app, deployment });
    };
  }

  /** Resolves when those who follow a deployment have heard of it. */
  async heard(app: string, deployment: string): Promise<void> {
    const own = [...this.#topics].filter((topic) => topic.app === app && topic.deployment === deployment);
    await Promise.all(own.map((topic) => topic.heard.promise));
  }

  /** Somebody wants to call: if no instance was found before, or it has ended, calls wait for another look. */
  wake(): void {
    if (this.#isClosed) return;
    const hasEnded = this.#lost !== undefined && !this.#options.isThere(this.#lost);
    if (hasEnded || this.#problem !== undefined) this.#lookAgain();
  }

  /** @returns undefined if there is no instance. @throws {DeploymentUnavailableError} if it cannot be reached. */
  async status(): Promise<unknown> {
    if (this.#link === undefined) await this.#connect();
    if (this.#link === undefined) {
      if (this.#problem === undefined || this.#problem.isNone) return undefined;
      throw new DeploymentUnavailableError(`The status is not known: ${this.#problem.message}.`);
    }
    const question = Promise.withResolvers<unknown>();
    const id = ++this.#asked;
    this.#questions.set(id, question);
    this.#link.send({ type: "call", id, method: "status", args: [] });
    return question.promise;
  }

  close(): void {
    this.#isClosed = true;
    this.#again?.cancel();
    this.#link?.close();
    this.#lose("this process has disconnected from the instance");
  }

  /** Calls wait meanwhile. */
  #lookAgain(): void {
    this.#problem = undefined;
    this.#lost = undefined;
    for (const topic of [...this.#topics]) this.#tell(topic, "pending", "");
    void this.#connect();
  }

  #connect(): Promise<void> {
    return (this.#connecting ??= this.#find().finally(() => {
      this.#connecting = undefined;
    }));
  }

  async #find(): Promise<void> {
    this.#again?.cancel();
    const found = await this.#options.find().catch((error: Error) => error);
    if (this.#isClosed) return;
    if (this.#lost !== undefined && this.#isStillThere(this.#lost, found)) this.#open(this.#lost);
    else if (found instanceof Error) this.#fail(found.message, false);
    else this.#openOther(found);
  }

  /** No other has taken its place. While it has no controller none is found, or it cannot be asked where it is. */
  #isStillThere(lost: FoundInstance, found: FoundInstance | Error | undefined): boolean {
    const isOther =
      found !== undefined && !(found instanceof Error) && found.runtimeDirectory !== lost.runtimeDirectory;
    return !isOther && this.#options.isThere(lost);
  }

  #openOther(found: FoundInstance | undefined): void {
    if (this.#lost !== undefined) {
      this.#lost = undefined;
      for (const topic of [...this.#topics]) this.#tell(topic, "pending", "");
    }
    if (found === undefined) this.#fail(NONE, true);
    else this.#open(found);
  }

  #open(found: FoundInstance): void {
    let wasHeard = false;
    const link = this.#options.connect(found, {
      onMessage: (message) => {
        wasHeard = true;
        this.#lost = undefined;
        this.#retryMs = FIRST_RETRY_MS;
        this.#receive(message);
      },
      onClosed: (error) => {
        const why = error === undefined ? "it has closed the connection" : error.message;
        this.#lose(`the instance in ${found.runtimeDirectory} is gone: ${why}`);
        if (this.#isClosed) return;
        if (wasHeard) this.#lost = found;
        if (this.#lost === undefined)
          this.#fail(`the instance in ${found.runtimeDirectory} cannot be reached: ${why}`, false);
        else this.#retry();
      },
    });
    this.#link = link;
    this.#problem = undefined;
    for (const { app, deployment } of this.#topics) link.send({ type: "subscribe", app, deployment });
  }

  /** Quietly: nobody is worse off until it is known that the instance has ended. */
  #retry(): void {
    this.#again = this.#options.clock.setTimer(this.#retryMs, () => void this.#connect());
    this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
  }

  #receive(message: ControllerMessage): void {
    if (message.type === "snapshot") {
      const { app, deployment } = message.snapshot;
      for (const topic of this.#topics)
        if (topic.app === app && topic.deployment === deployment) {
          topic.onSnapshot({ ...message.snapshot, version: ++this.#version });
          topic.heard.resolve();
        }
    } else if (message.type === "called") {
      const question = this.#questions.get(message.id);
      this.#questions.delete(message.id);
      if (message.error === undefined) question?.resolve(message.value);
      else question?.reject(message.error);
    }
  }

  #lose(why: string): void {
    this.#link = undefined;
    for (const question of this.#questions.values())
      question.reject(new DeploymentUnavailableError(`The status is not known: ${why}.`));
    this.#questions.clear();
  }

  #fail(message: string, isNone: boolean): void {
    if (this.#isClosed) return;
    this.#lost = undefined;
    this.#problem = { message, isNone };
    for (const topic of [...this.#topics]) this.#tell(topic, "gone", message);
    if (this.#topics.size > 0) this.#again = this.#options.clock.setTimer(AGAIN_MS, () => void this.#connect());
  }

  #tell({ app, deployment, onSnapshot }: Topic, state: "pending" | "gone", message: string): void {
    onSnapshot({ ...missingSnapshot(app, deployment, undefined), state, message, version: ++this.#version });
  }
}

const NONE =
  "nothing runs in this process, and no instance was found on this machine: run the application here with serve.run(), or start an instance with `heliostat start`";
