/**
 * Whether places stay empty while requests wait: 4 callers, each with a queue of its own, put requests of 10 and 1,000 ms
 * into their queues at once, and every replica takes one at a time.
 */
import { Driver } from "../harness/driver.ts";
import { suite } from "../harness/suite.ts";
import { queuers, type Stay } from "../fixtures/callers.ts";

const CALLERS = 4;
const REPLICAS = 4;

await suite(async ({ smoke }) => {
  const staysMs = smoke ? [5, 1, 1, 5] : Array.from({ length: 50 }, (_, i) => (i % 10 === 3 ? 1_000 : 10));
  const driver = await Driver.open();
  const handle = await driver.runApp("queueing", queuers(CALLERS, REPLICAS));
  // Every caller knows its replicas now, and every replica has run the method.
  await handle.broadcast("queue", [1, 1, 1, 1]);
  const stays = (await handle.broadcast("queue", staysMs)).flat();
  await driver.close();
  return {
    values: [
      { what: "idle while requests wait", value: idleShare(stays) * 100, unit: "% of the time", better: "lower" },
      { what: "requests", value: stays.length, unit: "", better: "higher" },
    ],
  };
}, "free");

/** Between the first start and the last one, requests wait all the time: what share of it were the replicas idle? */
function idleShare(stays: readonly Stay[]): number {
  const from = Math.min(...stays.map(({ startMs }) => startMs));
  const to = Math.max(...stays.map(({ startMs }) => startMs));
  const busyMs = stays.reduce((sum, { startMs, endMs }) => sum + Math.max(0, Math.min(endMs, to) - startMs), 0);
  return 1 - busyMs / ((to - from) * REPLICAS);
}
