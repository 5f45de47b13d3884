/**
 * Items of 1, 64 and 500 streams at a time, read one by one, beside small frames that a raw peer sends as fast as it can;
 * and how long the first item of a stream takes while 500 others are open.
 */
import { contest, type Row } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { latencies } from "../harness/latency.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite } from "../harness/suite.ts";
import { RawEcho } from "../raw-echo.ts";

/** Items of an open stream that nobody is in a hurry for. */
const TICK_MS = 100;

await suite(async (options) => {
  const raw = await RawEcho.start();
  const driver = await Driver.open();
  const { echo, pids } = await driver.run("bench", { gracefulShutdownTimeoutMs: 1 });
  pinPeers(options.placement, [raw.pid, ...pids]);
  const streaming = echo.options({ stream: true });
  const read = async (count: number): Promise<void> => {
    let got = 0;
    for await (const item of streaming.items.remote(count)) got += item >= 0 ? 1 : 0;
    if (got !== count) throw new Error(`${got} of ${count} items came.`);
  };
  const rows: Row[] = [];
  for (const streams of [1, 64, 500]) {
    rows.push(
      ...(await contest(
        [
          { name: "raw frames", run: (count) => raw.items(count), peers: [raw.pid] },
          {
            name: streams === 1 ? "a stream" : `${streams} streams`,
            async run(count) {
              const each = Math.ceil(count / streams);
              const startedMs = performance.now();
              await Promise.all(Array.from({ length: streams }, () => read(each)));
              // Every stream has the same number of items, which may be a few more than asked for.
              return ((performance.now() - startedMs) * count) / (each * streams);
            },
            peers: pids,
          },
        ],
        { ...options, what: streams === 1 ? "items of 1 stream" : `items of ${streams} streams` },
      )),
    );
  }

  const first = {
    name: "first item",
    async call() {
      const stream = streaming.items.remote(1);
      await stream.next();
      await stream.return?.();
    },
  };
  const alone = await latencies([first], { ...options, what: "no other stream" });
  const others = options.smoke ? 10 : 500;
  const open = Array.from({ length: others }, () => streaming.ticks.remote(TICK_MS));
  const reading = open.map(async (stream) => {
    try {
      for await (const _ of stream);
    } catch {
      // It is cancelled below.
    }
  });
  const crowded = await latencies([first], { ...options, what: `${others} other streams` });
  for (const stream of open) stream.cancel();
  await Promise.all(reading);
  await driver.close();
  await raw.close();
  return { rows, latencies: [...alone, ...crowded] };
});
