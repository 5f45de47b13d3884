/** How long small calls take while 16 MB are sent to the same replica, one after another, and while nothing is. */
import { median } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { type Latency, latencies } from "../harness/latency.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite } from "../harness/suite.ts";

const PAYLOAD = { a: 1, b: "x" };
const BYTES = 16_777_216;
/** Of the small ones. */
const WIDTH = 4;

await suite(async (options) => {
  const driver = await Driver.open();
  const { echo, pids } = await driver.run("bench");
  pinPeers(options.placement, pids);
  const small = { name: "echo {a, b}", call: () => echo.echo.remote(PAYLOAD) };
  const round = { ...options, rounds: 1, width: WIDTH };
  const idle: Latency[] = [];
  const busy: Latency[] = [];
  let moved = 0;
  let movingMs = 0;
  for (let i = 0; i < options.rounds; i++) {
    idle.push(...(await latencies([small], { ...round, what: "nothing else" })));
    let isOver = false;
    const transfer = (async () => {
      const bytes = new Uint8Array(BYTES);
      // As it is for who has not installed koffi.
      const { take } = echo.options({ byReference: false });
      const startedMs = performance.now();
      while (!isOver) moved += await take.remote(bytes);
      movingMs += performance.now() - startedMs;
    })();
    busy.push(...(await latencies([small], { ...round, what: "16 MB transfers" })));
    isOver = true;
    await transfer;
  }
  const ratio = median(busy.map(({ p50Us }, i) => p50Us / idle[i]!.p50Us));
  await driver.close();
  return {
    latencies: [middle(idle), middle(busy)],
    values: [
      { what: "p50 during transfers through idle", value: ratio, unit: "x", better: "lower", isRatio: true },
      { what: "transfers meanwhile", value: moved / 1e6 / movingMs, unit: "GB/s", better: "higher" },
    ],
  };
});

/** The round whose p50 is the median. */
function middle(rounds: readonly Latency[]): Latency {
  return [...rounds].sort((a, b) => a.p50Us - b.p50Us)[rounds.length >> 1]!;
}
