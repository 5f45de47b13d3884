import type { Clock } from "../core/contracts/clock.ts";
import type { Directory } from "../core/contracts/directory.ts";
import type { Log } from "../core/contracts/log.ts";
import { sameContent, type SnapshotContent } from "../core/controller/snapshot-builder.ts";
import type { DeploymentSnapshot } from "../core/router/snapshot.ts";

type OnSnapshot = (snapshot: DeploymentSnapshot) => void;

interface Subscription {
  readonly onSnapshot: OnSnapshot;
  /** Of the newest snapshot it was given; 0 before the first. */
  delivered: number;
}

interface Topic {
  readonly subscriptions: Set<Subscription>;
  latest: DeploymentSnapshot | undefined;
}

/** Tells subscribers in this process and in replicas where the replicas of a deployment are, whenever that changes. */
export class Publisher implements Directory {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #describe: (app: string, deployment: string) => SnapshotContent;
  readonly #topics = new Map<string, Topic>();
  /** One count for all deployments, so that a deployment made again under an old name does not begin with an old version. */
  #version = 0;

  /** `describe` says what is so now, for topics that nobody has published. */
  constructor(options: { clock: Clock; log: Log; describe: (app: string, deployment: string) => SnapshotContent }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#describe = options.describe;
  }

  get subscriptions(): number {
    let count = 0;
    for (const topic of this.#topics.values()) count += topic.subscriptions.size;
    return count;
  }

  subscribe(app: string, deployment: string, onSnapshot: OnSnapshot): () => void {
    const key = keyOf(app, deployment);
    const topic = this.#topics.get(key) ?? { subscriptions: new Set(), latest: undefined };
    this.#topics.set(key, topic);
    const subscription: Subscription = { onSnapshot, delivered: 0 };
    topic.subscriptions.add(subscription);
    this.#clock.nextTurn(() => {
      if (!topic.subscriptions.has(subscription) || subscription.delivered > 0) return;
      // What was published last may be out of date where nobody publishes: for a deployment that does not exist.
      this.publish(this.#describe(app, deployment));
      if (topic.latest !== undefined) this.#deliver(subscription, topic.latest);
    });
    return () => {
      topic.subscriptions.delete(subscription);
      // A topic without subscribers is described afresh for the next one, so names that were only asked for leave nothing.
      if (topic.subscriptions.size === 0 && this.#topics.get(key) === topic) this.#topics.delete(key);
    };
  }

  /** Tells the subscribers if this is news to them. */
  publish(content: SnapshotContent): void {
    const topic = this.#topics.get(keyOf(content.app, content.deployment));
    if (topic === undefined || (topic.latest !== undefined && sameContent(topic.latest, content))) return;
    topic.latest = this.#numbered(content);
    for (const subscription of [...topic.subscriptions]) {
      // One that was told may have ended another.
      if (topic.subscriptions.has(subscription)) this.#deliver(subscription, topic.latest);
    }
  }

  #numbered(content: SnapshotContent): DeploymentSnapshot {
    this.#version += 1;
    return { ...content, version: this.#version };
  }

  #deliver(subscription: Subscription, snapshot: DeploymentSnapshot): void {
    if (snapshot.version <= subscription.delivered) return;
    subscription.delivered = snapshot.version;
    try {
      subscription.onSnapshot(snapshot);
    } catch (error) {
      // One subscriber's mistake must not keep the others from the news.
      this.#log.error("A subscriber failed on a snapshot", {
        app: snapshot.app,
        deployment: snapshot.deployment,
        error,
      });
    }
  }
}

function keyOf(app: string, deployment: string): string {
  return JSON.stringify([app, deployment]);
}
