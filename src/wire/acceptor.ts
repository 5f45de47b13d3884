import type { Replica } from "../core/replica/replica.ts";
import { ReplicaUnavailableError } from "../core/errors.ts";
import { Lane as LaneNumber } from "./frames.ts";
import { PreambleReceiver } from "./lane.ts";
import { ReplicaSession } from "./replica-session.ts";
import type { Transport } from "./transport.ts";
import type { WireContext } from "./wire-context.ts";

/** Takes a replica's incoming connections: those of one calling process make one session. */
export class Acceptor {
  readonly #context: WireContext;
  readonly #replica: Replica;
  readonly #sessions = new Map<string, ReplicaSession>();

  constructor(context: WireContext, replica: Replica) {
    this.#context = context;
    this.#replica = replica;
  }

  /** Connected callers. */
  get size(): number {
    return this.#sessions.size;
  }

  accept(transport: Transport): void {
    transport.start(
      new PreambleReceiver(transport, this.#context.token, ({ peerId, lane }) => {
        const isBulk = lane === LaneNumber.BULK;
        return this.#session(peerId, isBulk).attach(transport, isBulk);
      }),
    );
  }

  /** Ends all connections. */
  close(): void {
    for (const session of this.#sessions.values()) session.close();
  }

  #session(peerId: string, isBulk: boolean): ReplicaSession {
    let session = this.#sessions.get(peerId);
    if (!isBulk && session?.hasSmallLane) {
      // It connects anew before the end of its last connection was heard of: its calls there are as good as lost.
      session.abandon(new ReplicaUnavailableError("The caller has connected again."));
      session = undefined;
    }
    if (session === undefined) {
      session = new ReplicaSession({
        context: this.#context,
        replica: this.#replica,
        peerId,
        onClosed: (closed) => {
          if (this.#sessions.get(peerId) === closed) this.#sessions.delete(peerId);
        },
      });
      this.#sessions.set(peerId, session);
    }
    return session;
  }
}
