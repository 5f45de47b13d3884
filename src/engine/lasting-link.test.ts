import { expect, test } from "vitest";
import { formats } from "../formats/formats.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { memoryPair } from "../transport/memory.ts";
import { ControlLink } from "../wire/control-link.ts";
import { Lane } from "../wire/frames.ts";
import { defaultLimits } from "../wire/limits.ts";
import { PreambleReceiver } from "../wire/preamble.ts";
import { LastingLink } from "./lasting-link.ts";

const noHandles = { describe: () => undefined, revive: () => undefined };
/** As many turns as bytes need from one end to the other, and an answer back. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => void setImmediate(resolve));
}

/** A link, and the controllers that it finds one after another. */
function setUp(adoptionMs: number) {
  const clock = new ManualClock();
  const table = formats(noHandles);
  const token = new Uint8Array(32).fill(7);
  const peerId = new Uint8Array(16).fill(3);
  const log: string[] = [];
  const controllers: ControlLink<string, string>[] = [];
  let isThere = true;
  const link = new LastingLink<string, string>({
    clock,
    formats: table,
    limits: defaultLimits,
    token,
    peerId,
    adoptionMs,
    open() {
      const [near, far] = memoryPair();
      if (!isThere) {
        far.destroy(new Error("nobody listens"));
        return near;
      }
      far.start(
        new PreambleReceiver(far, {
          clock,
          token,
          lanes: [Lane.CONTROL],
          onPeer(peer) {
            log.push(`introduced as ${peer.peerId.slice(0, 4)}`);
            const controller = new ControlLink<string, string>(far, {
              formats: table,
              limits: defaultLimits,
              onMessage: (message) => void log.push(`controller hears ${message}`),
              onClosed: () => {},
            });
            controllers.push(controller);
            return controller.lane;
          },
        }),
      );
      return near;
    },
    onMessage: (message) => void log.push(`hears ${message}`),
    onLost: () => void log.push("lost"),
    onAgain() {
      log.push("again");
      link.send("report");
    },
    onEnded: () => void log.push("ended"),
  });
  return {
    clock,
    log,
    link,
    controllers,
    said: () => log.splice(0),
    /** The controller dies, and from then on there is another, or none. */
    async dies(next: "another" | "none") {
      isThere = next === "another";
      controllers.at(-1)!.lane.transport.destroy(new Error("killed"));
      await turns();
    },
    comesBack: () => (isThere = true),
  };
}

test("with another controller it introduces itself again, and says how far it is", async () => {
  const { clock, controllers, link, said, dies } = setUp(60_000);
  await turns();
  controllers[0]!.send("first");
  link.send("hello");
  await turns();
  expect(said()).toEqual(["introduced as 0303", "hears first", "controller hears hello"]);
  expect(link.isHeard).toBe(true);
  await dies("another");
  expect(said()).toEqual(["lost"]);
  expect(link.isHeard).toBe(false);
  clock.advance(50);
  await turns();
  expect(said()).toEqual(["again", "introduced as 0303", "controller hears report"]);
  controllers[1]!.send("second");
  await turns();
  expect([said(), clock.pendingTimers]).toEqual([["hears second"], 0]);
});

test("it tries ever more seldom, and gives up when its time is over", async () => {
  const { clock, said, dies } = setUp(5_000);
  await turns();
  await dies("none");
  said();
  const atMs: number[] = [];
  const startMs = clock.now();
  while (clock.pendingTimers > 0) {
    clock.advance(clock.nextTimerMs - clock.now());
    await turns();
    atMs.push(clock.now() - startMs);
  }
  expect(atMs).toEqual([50, 150, 350, 750, 1_550, 2_550, 3_550, 4_550, 5_550]);
  expect(said()).toEqual([...atMs.map(() => "again"), "ended"]);
});

test("its time begins anew when a controller is heard", async () => {
  const { clock, controllers, said, dies, comesBack } = setUp(1_000);
  await turns();
  await dies("none");
  clock.advance(50);
  await turns();
  comesBack();
  clock.advance(100);
  await turns();
  controllers.at(-1)!.send("here");
  await turns();
  said();
  await dies("none");
  clock.advance(50);
  await turns();
  expect(said()).toEqual(["lost", "again"]);
});

test("without time it ends with its controller; closed by itself it makes no other", async () => {
  const mortal = setUp(0);
  await turns();
  await mortal.dies("another");
  expect([mortal.said().at(-1), mortal.clock.pendingTimers]).toEqual(["ended", 0]);
  const lasting = setUp(60_000);
  await turns();
  lasting.link.close();
  await turns();
  expect([lasting.said().at(-1), lasting.clock.pendingTimers]).toEqual(["ended", 0]);
});
