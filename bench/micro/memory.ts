/** Memory in the caller: of a call that is not answered, and of a million that were. */
import { Driver } from "../harness/driver.ts";
import { inFlight } from "../harness/in-flight.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite, type SuiteResult } from "../harness/suite.ts";

const PAYLOAD = { a: 1, b: "x" };
/** What is stuck would be waited for. */
const END_AT_ONCE = { gracefulShutdownTimeoutMs: 1 };

await suite(async ({ placement, quick }): Promise<SuiteResult> => {
  if (globalThis.gc === undefined) throw new Error("Memory is measured after collections: run node with --expose-gc.");
  const stuckCalls = quick ? 20_000 : 100_000;
  const finishedCalls = quick ? 200_000 : 1_000_000;
  const driver = await Driver.open();
  const { echo, pids } = await driver.run("bench", END_AT_ONCE);
  const { echo: narrow } = await driver.run("narrow", { ...END_AT_ONCE, maxOngoingRequests: 1 });
  pinPeers(placement, pids);

  const finish = (count: number): Promise<void> => inFlight(512, count, () => echo.echo.remote(PAYLOAD));
  // Tables and slabs grow to the size that the work needs; that is no leak.
  await finish(50_000);
  const beforeFinished = await usedBytes();
  await finish(finishedCalls);
  const leftBytes = (await usedBytes()) - beforeFinished;

  const perCall = async (call: () => unknown): Promise<string> => {
    call();
    const before = await usedBytes();
    for (let i = 0; i < stuckCalls; i++) call();
    return `${Math.round(((await usedBytes()) - before) / stuckCalls)} bytes`;
  };
  const stuck = await perCall(() => echo.stay.remote(PAYLOAD));
  const waiting = await perCall(() => narrow.stay.remote(PAYLOAD));
  await driver.close();
  return {
    rows: [],
    notes: [
      { what: `one of ${stuckCalls} calls at a stuck replica`, value: stuck, target: "at most 1,000, later 400" },
      { what: `one of ${stuckCalls} calls that wait for a place`, value: waiting, target: "at most 1,000, later 400" },
      {
        what: `left of ${finishedCalls} finished calls`,
        value: `${Math.round(leftBytes / 1_000)} kB in all`,
        target: "nothing that grows with their number",
      },
    ],
  };
}, "free");

/** What is reachable, once what is on its way has arrived. */
async function usedBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    globalThis.gc!();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
