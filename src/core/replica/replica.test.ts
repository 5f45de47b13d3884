import { describe, expect, test } from "vitest";
import { FakeIncomingCall } from "../../testing/fake-incoming-call.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { Deadlines } from "../handle/deadlines.ts";
import type { Peer } from "./peer.ts";
import { Replica } from "./replica.ts";

/** A caller, as its session shows it to the replica. */
class FakePeer implements Peer {
  ongoing = 0;
  waiting = false;
  /** What others had running whenever it was told of a free place. */
  readonly freed: number[] = [];
  drains = 0;
  readonly made: FakeCall[] = [];

  calls(): readonly FakeCall[] {
    return this.made.filter(({ outcomes }) => outcomes.length === 0);
  }

  free(othersOngoing: number): void {
    this.freed.push(othersOngoing);
  }

  drain(): void {
    this.drains++;
  }
}

type FakeCall = FakeIncomingCall<FakePeer>;

function open(maxOngoingRequests: number): {
  clock: ManualClock;
  replica: Replica;
  worn: string[];
  peer(): FakePeer;
  call(peer: FakePeer, broadcast?: boolean): FakeCall;
  /** Ends the oldest work. */
  finish(): Promise<void>;
} {
  const clock = new ManualClock();
  const running: PromiseWithResolvers<unknown>[] = [];
  const worn: string[] = [];
  const replica = new Replica({
    identity: { app: "default", deployment: "Model", replicaId: "Model#1", rank: 0, worldSize: 1, codeVersion: "1" },
    clock,
    contexts: {
      get: () => undefined,
      run: (_, fn) => fn(),
      call: (_, method, self, args) => Reflect.apply(method, self, args),
    },
    deadlines: new Deadlines(clock),
    maxOngoingRequests,
    maxRequests: 3,
    onWorn: (reason) => worn.push(reason),
  });
  replica.open({
    work() {
      const work = Promise.withResolvers<unknown>();
      running.push(work);
      return work.promise;
    },
  });
  return {
    clock,
    replica,
    worn,
    peer() {
      const peer = new FakePeer();
      replica.join(peer);
      return peer;
    },
    call(peer, broadcast = false) {
      const call = new FakeIncomingCall(peer, { broadcast });
      peer.made.push(call);
      replica.accept(call);
      return call;
    },
    async finish() {
      running.shift()!.resolve("done");
      await new Promise(setImmediate);
    },
  };
}

describe("admission", () => {
  test("as many run as there are places; the others are refused, with what others have running", async () => {
    const { replica, peer, call, finish } = open(2);
    const [a, b] = [peer(), peer()];
    const calls = [call(a), call(b), call(b), call(a)];
    expect(calls.map(({ outcomes }) => outcomes)).toEqual([[], [], ["refused: full"], ["refused: full"]]);
    expect([calls[2]!.others, calls[3]!.others]).toEqual([[1], [1]]);
    expect([replica.ongoing, replica.served, a.ongoing, b.ongoing]).toEqual([2, 2, 1, 1]);
    await finish();
    expect(calls[0]!.outcomes).toEqual(["done"]);
    expect(calls[0]!.others).toEqual([1]);
    expect(replica.ongoing).toBe(1);
  });

  test("a broadcast needs no place", () => {
    const { replica, peer, call } = open(1);
    const a = peer();
    call(a);
    expect(call(a, true).outcomes).toEqual([]);
    expect(call(a).outcomes).toEqual(["refused: full"]);
    expect(replica.served).toBe(2);
  });

  test("when it drains, every call is refused, and nobody told of places", () => {
    const { replica, peer, call } = open(1);
    const a = peer();
    void replica.drain();
    expect(call(a).outcomes).toEqual(["refused: draining"]);
    expect(call(a, true).outcomes).toEqual(["refused: draining"]);
    expect(a.freed).toEqual([]);
  });

  test("arguments that cannot be read fail their call, and take no place", () => {
    const { replica, peer } = open(1);
    const call = new FakeIncomingCall(peer());
    call.argsError = new Error("cut short");
    replica.accept(call);
    expect(call.outcomes).toEqual([call.argsError]);
    expect([replica.ongoing, replica.served]).toEqual([0, 0]);
  });

  test("wear is told once", async () => {
    const { peer, call, finish, worn } = open(1);
    const a = peer();
    for (let i = 0; i < 5; i++) {
      call(a);
      await finish();
    }
    expect(worn).toEqual([expect.stringContaining("maxRequests (3)")]);
  });
});

describe("telling of free places", () => {
  test("who was refused hears once, in the order of the refusals, one for each place", async () => {
    const { peer, call, finish } = open(2);
    const [a, b, c, d] = [peer(), peer(), peer(), peer()];
    call(a);
    call(a);
    for (const waiting of [c, b, c, d]) call(waiting);
    expect([b, c, d].map(({ waiting }) => waiting)).toEqual([true, true, true]);
    await finish();
    expect([b, c, d].map(({ freed }) => freed)).toEqual([[], [1], []]);
    expect(c.waiting).toBe(false);
    call(c);
    await finish();
    expect([b, c, d].map(({ freed }) => freed)).toEqual([[1], [1], []]);
  });

  test("who does not come within 5 ms is passed over", async () => {
    const { clock, peer, call, finish } = open(1);
    const [a, b, c] = [peer(), peer(), peer()];
    call(a);
    call(b);
    call(c);
    await finish();
    expect([b.freed, c.freed]).toEqual([[0], []]);
    clock.advance(4.9);
    expect(c.freed).toEqual([]);
    clock.advance(0.2);
    expect([b.freed, c.freed]).toEqual([[0], [0]]);
    expect(clock.pendingTimers).toBe(0);
  });

  test("who comes keeps the place, and the next hears when it is free again", async () => {
    const { clock, peer, call, finish } = open(1);
    const [a, b, c] = [peer(), peer(), peer()];
    call(a);
    call(b);
    call(c);
    await finish();
    call(b);
    clock.advance(50);
    expect(c.freed).toEqual([]);
    await finish();
    expect(c.freed).toEqual([0]);
    clock.advance(50);
    expect(clock.pendingTimers).toBe(0);
  });

  test("who is gone is not told, and the next is", async () => {
    const { replica, peer, call, finish } = open(1);
    const [a, b, c] = [peer(), peer(), peer()];
    call(a);
    call(b);
    call(c);
    replica.leave(b);
    await finish();
    expect([b.freed, c.freed]).toEqual([[], [0]]);
  });

  test("a higher limit frees places, a lower one ends nothing", async () => {
    const { replica, peer, call, finish } = open(1);
    const [a, b] = [peer(), peer()];
    call(a);
    call(b);
    replica.setLimit(3);
    expect(b.freed).toEqual([1]);
    call(b);
    call(b);
    replica.setLimit(1);
    expect(replica.ongoing).toBe(3);
    expect(call(a).outcomes).toEqual(["refused: full"]);
    await finish();
    await finish();
    expect(a.freed).toEqual([]);
    await finish();
    expect(a.freed).toEqual([0]);
  });
});

describe("draining", () => {
  test("it is over when the work has ended and every caller has hung up", async () => {
    const { replica, peer, call, finish } = open(2);
    const [a, b] = [peer(), peer()];
    const running = call(a);
    call(b);
    call(b);
    let drained = false;
    void replica.drain().then(() => {
      drained = true;
    });
    expect([a.drains, b.drains]).toEqual([1, 1]);
    await finish();
    await finish();
    expect(running.outcomes).toEqual(["done"]);
    // Whoever waited for a place is not promised one.
    expect(b.freed).toEqual([]);
    replica.leave(a);
    await new Promise(setImmediate);
    expect(drained).toBe(false);
    replica.leave(b);
    await new Promise(setImmediate);
    expect(drained).toBe(true);
  });

  test("who joins late is told", () => {
    const { replica, peer } = open(1);
    void replica.drain();
    expect(peer().drains).toBe(1);
  });

  test("abort stops what still runs", async () => {
    const { replica, peer, call, finish } = open(2);
    const first = call(peer());
    const error = new Error("the time is over");
    replica.abort(error);
    expect([first.outcomes, first.endedBy]).toEqual([[], error]);
    await finish();
    expect(first.outcomes).toEqual(["done"]);
    expect(replica.ongoing).toBe(0);
  });
});
