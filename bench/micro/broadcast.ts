/** Broadcasts to 8 and 64 replicas, one after another, beside raw echoes of 8 peers that are awaited together. */
import { contest, type Row } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { inFlight } from "../harness/in-flight.ts";
import { latencies, type Latency } from "../harness/latency.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite } from "../harness/suite.ts";
import { RawEcho } from "../raw-echo.ts";

const RAW_PEERS = 8;

await suite(async (options) => {
  const raws = await Promise.all(Array.from({ length: RAW_PEERS }, () => RawEcho.start()));
  const rawPids = raws.map(({ pid }) => pid);
  pinPeers(options.placement, rawPids);
  const rows: Row[] = [];
  const found: Latency[] = [];
  for (const numReplicas of options.smoke ? [2] : [8, 64]) {
    const driver = await Driver.open();
    const { echo, pids } = await driver.run("bench", { numReplicas });
    pinPeers(options.placement, pids);
    const what = `to ${numReplicas} replicas`;
    const contenders = [
      {
        name: `${RAW_PEERS} raw echoes`,
        run: (count: number) => inFlight(1, count, () => Promise.all(raws.map((raw) => raw.echo(1, 1)))),
        peers: rawPids,
      },
      { name: "broadcast", run: (count: number) => inFlight(1, count, () => echo.broadcast("nothing")), peers: pids },
    ];
    rows.push(...(await contest(contenders, { ...options, what })));
    found.push(
      ...(await latencies([{ name: "broadcast", call: () => echo.broadcast("nothing") }], { ...options, what })),
    );
    await driver.close();
  }
  await Promise.all(raws.map((raw) => raw.close()));
  return { rows, latencies: found };
});
