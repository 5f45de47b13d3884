/** Payloads of 1 MB each way, 4 in flight, beside raw frames of that size. */
import { contest, type Row } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { inFlight } from "../harness/in-flight.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite } from "../harness/suite.ts";
import { RawEcho } from "../raw-echo.ts";

const SIZE_BYTES = 1_048_576;
const WIDTH = 4;

await suite(async ({ placement, rounds, sampleMs }) => {
  const raw = await RawEcho.start({ large: true });
  const driver = await Driver.open();
  const { echo, pids } = await driver.run("bench");
  pinPeers(placement, [raw.pid, ...pids]);
  const bytes = new Uint8Array(SIZE_BYTES).fill(7);
  const rows = [
    ...(await contest(
      [
        { name: "raw frame", run: (count) => raw.take(WIDTH, count, SIZE_BYTES), peers: [raw.pid] },
        {
          name: "argument of a call",
          run: (count) => inFlight(WIDTH, count, () => echo.take.remote(bytes)),
          peers: pids,
        },
      ],
      { what: "1 MB there", rounds, sampleMs },
    )),
    ...(await contest(
      [
        { name: "raw frame", run: (count) => raw.give(WIDTH, count, SIZE_BYTES), peers: [raw.pid] },
        {
          name: "result of a call",
          run: (count) => inFlight(WIDTH, count, () => echo.give.remote(SIZE_BYTES)),
          peers: pids,
        },
      ],
      { what: "1 MB back", rounds, sampleMs },
    )),
  ];
  await driver.close();
  await raw.close();
  const note = (what: string, row: Row): { what: string; value: string; target: string } => ({
    what,
    value: `${((row.median * SIZE_BYTES) / 1e9).toFixed(2)} GB/s, ${row.ratio.toFixed(2)} of raw`,
    target: "at least 0.8 of raw and 2 GB/s",
  });
  return { rows, notes: [note("1 MB there", rows[1]!), note("1 MB back", rows[3]!)] };
});
