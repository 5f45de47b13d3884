/** Items of one stream, read one by one, beside small frames that a raw peer sends as fast as it can. */
import { contest } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite } from "../harness/suite.ts";
import { RawEcho } from "../raw-echo.ts";

await suite(async ({ placement, rounds, sampleMs }) => {
  const raw = await RawEcho.start();
  const driver = await Driver.open();
  const { echo, pids } = await driver.run("bench");
  pinPeers(placement, [raw.pid, ...pids]);
  const streaming = echo.options({ stream: true });
  const rows = await contest(
    [
      { name: "raw frames", run: (count) => raw.items(count), peers: [raw.pid] },
      {
        name: "stream of a handle",
        async run(count) {
          let got = 0;
          for await (const item of streaming.items.remote(count)) got += item >= 0 ? 1 : 0;
          if (got !== count) throw new Error(`${got} of ${count} items came.`);
        },
        peers: pids,
      },
    ],
    { what: "items", rounds, sampleMs },
  );
  await driver.close();
  await raw.close();
  return {
    rows,
    notes: [{ what: "stream", value: `${(rows[1]!.median / 1e6).toFixed(2)} M items/s`, target: "at least 1.2 M" }],
  };
});
