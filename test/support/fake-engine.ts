import type { ControllerMessage, ReplicaMessage } from "../../src/core/contracts/control-messages.ts";
import type { Clock } from "../../src/core/contracts/clock.ts";
import type {
  Engine,
  RecoveredReplica,
  ReplicaProcess,
  ReplicaProcessListener,
} from "../../src/core/contracts/engine.ts";
import type { ReplicaSpec } from "../../src/core/deployment/spec.ts";

/** What a fake replica does on its own; what is not given does not happen. */
export type FakeBehaviour = Partial<
  Record<ControllerMessage["type"] | "kill", (replica: FakeReplica, message?: ControllerMessage) => void>
>;

/** A replica that gets ready, answers and ends as it should. */
export const healthy: FakeBehaviour = {
  initialize: (replica) => replica.ready(),
  reconfigure: (replica, message) => replica.say({ type: "reconfigured", id: (message as { id: number }).id }),
  "check-health": (replica, message) => replica.say({ type: "health", id: (message as { id: number }).id }),
  stop: (replica) => replica.exit("exited with code 0"),
  kill: (replica) => replica.exit("killed by SIGKILL"),
};

/** Replicas that are only records of what they were told, and do in the next turn what their behaviour says. */
export class FakeEngine implements Engine {
  readonly kind = "memory";
  readonly replicas: FakeReplica[] = [];
  readonly clock: Clock;
  /** Of replicas that start from now on. */
  behaviour: FakeBehaviour;
  startError: Error | undefined = undefined;
  closed = 0;
  recover: () => readonly RecoveredReplica[] = () => [];

  constructor(clock: Clock, behaviour: FakeBehaviour = healthy) {
    this.clock = clock;
    this.behaviour = behaviour;
  }

  get alive(): FakeReplica[] {
    return this.replicas.filter((replica) => replica.isAlive);
  }

  /** The replicas of one deployment whose processes are there. */
  of(deployment: string): FakeReplica[] {
    return this.alive.filter((replica) => replica.spec.deployment === deployment);
  }

  start(spec: ReplicaSpec, listener: ReplicaProcessListener): ReplicaProcess {
    if (this.startError !== undefined) throw this.startError;
    const replica = new FakeReplica(this, spec, listener);
    this.replicas.push(replica);
    return replica;
  }

  async close(): Promise<void> {
    this.closed += 1;
  }
}

export class FakeReplica implements ReplicaProcess {
  readonly pid: number;
  readonly spec: ReplicaSpec;
  readonly messages: ControllerMessage[] = [];
  behaviour: FakeBehaviour;
  isAlive = true;
  isReady = false;
  kills = 0;
  readonly #engine: FakeEngine;
  readonly #listener: ReplicaProcessListener;

  constructor(engine: FakeEngine, spec: ReplicaSpec, listener: ReplicaProcessListener) {
    this.#engine = engine;
    this.#listener = listener;
    this.spec = spec;
    this.behaviour = engine.behaviour;
    this.pid = 1_000 + engine.replicas.length;
  }

  get id(): string {
    return this.spec.replicaId;
  }

  told<T extends ControllerMessage["type"]>(type: T): Extract<ControllerMessage, { type: T }>[] {
    return this.messages.filter((message): message is Extract<ControllerMessage, { type: T }> => message.type === type);
  }

  send(message: ControllerMessage): void {
    if (!this.isAlive) return;
    this.messages.push(message);
    this.#react(message.type, message);
  }

  kill(): void {
    this.kills += 1;
    this.#react("kill");
  }

  ready(): void {
    this.isReady = true;
    this.say({ type: "ready", address: { memory: this.id }, methods: ["call"] });
  }

  fail(phase: "load" | "construct" | "reconfigure" | "health", error: unknown): void {
    this.say({ type: "failed", phase, error });
    this.exit("exited with code 1");
  }

  say(message: ReplicaMessage): void {
    if (this.isAlive) this.#listener.onMessage(message);
  }

  exit(description: string): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.#listener.onExit({ description, code: 1, signal: null });
  }

  #react(type: ControllerMessage["type"] | "kill", message?: ControllerMessage): void {
    this.#engine.clock.nextTurn(() => {
      if (this.isAlive) this.behaviour[type]?.(this, message);
    });
  }
}
