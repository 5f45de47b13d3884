/** Broadcasts to 8 replicas, one after another, beside raw echoes of 8 peers that are awaited together. */
import { contest } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { inFlight } from "../harness/in-flight.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite } from "../harness/suite.ts";
import { RawEcho } from "../raw-echo.ts";

const REPLICAS = 8;

await suite(async ({ placement, rounds, sampleMs }) => {
  const raws = await Promise.all(Array.from({ length: REPLICAS }, () => RawEcho.start()));
  const driver = await Driver.open();
  const { echo, pids } = await driver.run("bench", { numReplicas: REPLICAS });
  const rawPids = raws.map(({ pid }) => pid);
  pinPeers(placement, [...rawPids, ...pids]);
  const rows = await contest(
    [
      {
        name: "raw echoes",
        run: (count) => inFlight(1, count, () => Promise.all(raws.map((raw) => raw.echo(1, 1)))),
        peers: rawPids,
      },
      { name: "broadcast", run: (count) => inFlight(1, count, () => echo.broadcast("nothing")), peers: pids },
    ],
    { what: `to ${REPLICAS} replicas`, rounds, sampleMs },
  );
  await driver.close();
  await Promise.all(raws.map((raw) => raw.close()));
  return { rows };
});
