import type { ReplicaClientListener } from "../../src/core/contracts/replica-client.ts";
import type { RequestScope } from "../../src/core/handle/context.ts";
import { Call, CallState, type CallTemplate } from "../../src/core/handle/call.ts";
import { Deadlines } from "../../src/core/handle/deadlines.ts";
import { settleWithError } from "../../src/core/handle/settle.ts";
import { Replica } from "../../src/core/replica/replica.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { Acceptor } from "../../src/wire/acceptor.ts";
import { CallerSession } from "../../src/wire/caller-session.ts";
import { FormatTable } from "../../src/wire/codec/format.ts";
import { StructuredFormat } from "../../src/wire/codec/structured.ts";
import { defaultLimits, type Limits } from "../../src/wire/limits.ts";
import type { Poller } from "../../src/wire/poller.ts";
import type { SharedMemory } from "../../src/wire/shared-memory.ts";
import { Sharing } from "../../src/wire/sharing.ts";
import type { WireContext } from "../../src/wire/wire-context.ts";
import { Link, type LinkOptions, settle } from "./link.ts";

export const token: Uint8Array = Uint8Array.from({ length: 32 }, (_, i) => i + 1);

export function wireContext(
  clock: ManualClock,
  fields: {
    limits?: Partial<Limits>;
    peer?: number;
    poller?: Poller | undefined;
    memory?: SharedMemory | undefined;
  } = {},
): WireContext {
  const limits = { ...defaultLimits, ...fields.limits };
  return {
    clock,
    formats: new FormatTable([new StructuredFormat({ limits })]),
    limits,
    token,
    peerId: new Uint8Array(16).fill(fields.peer ?? 7),
    poller: fields.poller,
    ...(fields.memory && { sharing: new Sharing(() => Promise.resolve(fields.memory)) }),
  };
}

const template: CallTemplate = {
  app: "default",
  deployment: "Model",
  method: "call",
  stream: false,
  broadcast: false,
  requestSerialization: "structured",
  responseSerialization: "structured",
  multiplexedModelId: "",
  sessionId: "",
  preferLocalRouting: false,
  byReference: true,
  spinUs: 0,
};

export interface CallOptions {
  readonly stream?: boolean;
  readonly broadcast?: boolean;
  readonly modelId?: string;
  readonly byReference?: boolean;
  readonly parent?: Partial<RequestScope>;
  readonly priority?: number;
  readonly deadlineMs?: number;
  readonly timeoutMs?: number;
  readonly spinUs?: number;
}

export type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** A call that notes what becomes of it. */
export class TestCall extends Call {
  readonly values: unknown[] = [];
  readonly sizes: number[] = [];
  readonly outcomes: Outcome[] = [];

  constructor(method: string, args: readonly unknown[], options: CallOptions = {}) {
    super(
      {
        ...template,
        method,
        stream: options.stream ?? false,
        broadcast: options.broadcast ?? false,
        multiplexedModelId: options.modelId ?? "",
        byReference: options.byReference ?? true,
        spinUs: options.spinUs ?? 0,
      },
      args,
      12_345,
      {
        parent: options.parent as RequestScope | undefined,
        priority: options.priority ?? 0,
        deadlineMs: options.deadlineMs ?? Infinity,
        timeoutMs: options.timeoutMs ?? 0,
      },
    );
  }

  get outcome(): Outcome | undefined {
    return this.outcomes[0];
  }

  get error(): Error {
    const { outcome } = this;
    if (outcome === undefined || !("error" in outcome))
      throw new Error(`The call has not failed: ${JSON.stringify(outcome)}`);
    return outcome.error as Error;
  }

  resolve(value: unknown): void {
    this.outcomes.push({ value });
  }

  reject(error: unknown): void {
    this.outcomes.push({ error });
  }

  item(value: unknown, bytes: number): void {
    this.values.push(value);
    this.sizes.push(bytes);
  }
}

/** What a session told its router, in order. */
export type Told =
  | { readonly what: "finished"; readonly call: Call; readonly others: number; readonly settled: boolean }
  | { readonly what: "refused"; readonly call: Call; readonly reason: string; readonly others: number }
  | { readonly what: "free"; readonly others: number }
  | { readonly what: "draining" }
  | {
      readonly what: "lost";
      readonly error: Error;
      readonly lost: readonly { readonly call: Call; readonly written: boolean }[];
    };

export interface WireOptions {
  readonly link?: LinkOptions;
  readonly limits?: Partial<Limits>;
  readonly maxOngoingRequests?: number;
  /** That of the replica. @default none */
  readonly memory?: SharedMemory;
  /** The caller's, and the replica's. */
  readonly pollers?: { readonly caller: Poller; readonly replica: Poller };
}

/** One replica, and callers connected to it by links that a test moves. */
export class Wire {
  readonly clock = new ManualClock();
  readonly links: Link[] = [];
  readonly replica: Replica;
  readonly acceptor: Acceptor;
  readonly deadlines: Deadlines;
  readonly options: WireOptions;
  /** Contexts that user code ran in. */
  readonly scopes: (RequestScope | undefined)[] = [];

  constructor(target: object, options: WireOptions = {}) {
    this.options = options;
    this.deadlines = new Deadlines(this.clock);
    this.replica = new Replica({
      identity: { app: "default", deployment: "Model", replicaId: "Model#1", rank: 0, worldSize: 1, codeVersion: "1" },
      clock: this.clock,
      contexts: {
        get: () => undefined,
        run: (context, fn) => {
          this.scopes.push(context);
          return fn();
        },
        call: (context, method, self, args) => {
          this.scopes.push(context);
          return Reflect.apply(method, self, args) as unknown;
        },
      },
      deadlines: this.deadlines,
      maxOngoingRequests: options.maxOngoingRequests ?? 100,
    });
    this.replica.open(target);
    this.acceptor = new Acceptor(
      wireContext(this.clock, {
        limits: options.limits ?? {},
        poller: options.pollers?.replica,
        memory: options.memory,
      }),
      this.replica,
    );
  }

  caller(options: CallerOptions = {}): TestCaller {
    return new TestCaller(this, options);
  }

  /** A connection of which the test itself is the near end. */
  raw(): Link {
    const link = new Link(this.options.link);
    this.links.push(link);
    this.acceptor.accept(link.far);
    return link;
  }

  settle(): Promise<void> {
    return settle(
      () => this.links,
      () => this.clock.turn(),
    );
  }
}

export interface CallerOptions {
  readonly peer?: number;
  readonly link?: LinkOptions;
  /** That of the calling process. @default none */
  readonly memory?: SharedMemory;
  /** That of another caller, whose process it shares. */
  readonly context?: WireContext;
}

/** A calling process with one connection to the replica. */
export class TestCaller {
  readonly told: Told[] = [];
  readonly links: Link[] = [];
  readonly session: CallerSession;
  readonly context: WireContext;
  readonly #wire: Wire;

  constructor(wire: Wire, options: CallerOptions) {
    this.#wire = wire;
    this.context =
      options.context ??
      wireContext(wire.clock, {
        limits: wire.options.limits ?? {},
        peer: options.peer ?? 7,
        poller: wire.options.pollers?.caller,
        memory: options.memory,
      });
    const listener: ReplicaClientListener = {
      onFinished: (call, others) =>
        this.told.push({ what: "finished", call, others, settled: call.state === CallState.SETTLED }),
      onRefused: (call, reason, others) => this.told.push({ what: "refused", call, reason, others }),
      onFree: (others) => this.told.push({ what: "free", others }),
      onDraining: () => this.told.push({ what: "draining" }),
      onLost: (error, lost) => this.told.push({ what: "lost", error, lost }),
    };
    this.session = new CallerSession({
      context: this.context,
      open: () => {
        const link = new Link(options.link ?? wire.options.link);
        this.links.push(link);
        wire.links.push(link);
        wire.acceptor.accept(link.far);
        return link.near;
      },
      listener,
    });
  }

  send(method: string, args: readonly unknown[] = [], options: CallOptions = {}): TestCall {
    const call = new TestCall(method, args, options);
    call.state = CallState.SENT;
    if (!this.session.send(call)) throw new Error("The session did not take the call.");
    return call;
  }

  /** As the router does: the outcome is there at once, and the replica hears of it. */
  cancel(call: Call, reason: unknown = new Error("cancelled")): void {
    settleWithError(call, reason);
    this.session.cancel(call, reason);
  }

  toldOf<T extends Told["what"]>(what: T): Extract<Told, { what: T }>[] {
    return this.told.filter((told): told is Extract<Told, { what: T }> => told.what === what);
  }

  /** Sends, lets everything move, and gives the call with its outcome. */
  async ask(method: string, args: readonly unknown[] = [], options: CallOptions = {}): Promise<TestCall> {
    const call = this.send(method, args, options);
    await this.#wire.settle();
    return call;
  }
}

/** A promise that a test settles. */
export function deferred<T>(): { promise: Promise<T>; resolve(value: T): void; reject(error: unknown): void } {
  return Promise.withResolvers<T>();
}
