/** Memory in the caller: of a call that is not answered, and of a million that were. */
import { Driver } from "../harness/driver.ts";
import { inFlight } from "../harness/in-flight.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite, type SuiteResult } from "../harness/suite.ts";

const PAYLOAD = { a: 1, b: "x" };
/** What is stuck would be waited for. */
const END_AT_ONCE = { gracefulShutdownTimeoutMs: 1 };

await suite(async ({ placement, quick, smoke }): Promise<SuiteResult> => {
  if (globalThis.gc === undefined) throw new Error("Memory is measured after collections: run node with --expose-gc.");
  const stuckCalls = smoke ? 500 : quick ? 20_000 : 100_000;
  const finishedCalls = smoke ? 1_000 : quick ? 200_000 : 1_000_000;
  const settleMs = smoke ? 10 : 100;
  const driver = await Driver.open();
  const { echo, pids } = await driver.run("bench", END_AT_ONCE);
  const { echo: narrow } = await driver.run("narrow", { ...END_AT_ONCE, maxOngoingRequests: 1 });
  pinPeers(placement, pids);

  const finish = (count: number): Promise<void> => inFlight(512, count, () => echo.echo.remote(PAYLOAD));
  // Tables and slabs grow to the size that the work needs; that is no leak.
  await finish(smoke ? 1_000 : 50_000);
  const beforeFinished = await usedBytes(settleMs);
  await finish(finishedCalls);
  const leftBytes = (await usedBytes(settleMs)) - beforeFinished;

  const perCall = async (call: () => unknown): Promise<number> => {
    call();
    const before = await usedBytes(settleMs);
    for (let i = 0; i < stuckCalls; i++) call();
    return ((await usedBytes(settleMs)) - before) / stuckCalls;
  };
  const stuck = await perCall(() => echo.stay.remote(PAYLOAD));
  const waiting = await perCall(() => narrow.stay.remote(PAYLOAD));
  await driver.close();
  const value = { better: "lower" } as const;
  return {
    values: [
      { ...value, what: "a call at a replica that does not answer", value: stuck, unit: "bytes" },
      { ...value, what: "a call that waits for a place", value: waiting, unit: "bytes" },
      {
        ...value,
        what: `left of ${finishedCalls.toLocaleString("en")} calls`,
        value: leftBytes / 1_000,
        unit: "kB in all",
      },
    ],
  };
}, "free");

/** What is reachable, once what is on its way has arrived. */
async function usedBytes(settleMs: number): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    globalThis.gc!();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
