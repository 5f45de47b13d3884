/** The same work by other means, in the same rounds: one caller, and one process or thread that answers. */
import { type Contender, contest, type Row } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { inFlight } from "../harness/in-flight.ts";
import { latencies } from "../harness/latency.ts";
import { type Peer, peerVersions, startPeers } from "../harness/peers.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite } from "../harness/suite.ts";

const PAYLOAD = { a: 1, b: "x" };
const MEGABYTE = new Uint8Array(1_048_576);

await suite(async (options) => {
  const driver = await Driver.open();
  const { echo, pids } = await driver.run("bench");
  pinPeers(options.placement, pids);
  const streaming = echo.options({ stream: true });
  // As it is for who has not installed koffi.
  const { take } = echo.options({ byReference: false });
  const own: Peer = {
    name: "heliostat",
    pids,
    echo: (value) => echo.echo.remote(value as typeof PAYLOAD),
    nothing: () => echo.nothing.remote(),
    async items(count) {
      let items = 0;
      for await (const _ of streaming.items.remote(count)) items++;
      return items;
    },
    take: (bytes) => take.remote(bytes),
    stop: () => driver.close(),
  };
  const { peers, missing } = await startPeers(options.placement);
  const all = [own, ...peers];
  const by = (work: (peer: Peer, count: number) => Promise<void>, of = all): Contender[] =>
    of.map((peer) => ({ name: peer.name, peers: peer.pids, run: (count) => work(peer, count) }));
  const rows: Row[] = [];
  const echoes = (width: number): Promise<Row[]> =>
    contest(
      by((peer, count) => inFlight(width, count, () => peer.echo(PAYLOAD))),
      {
        ...options,
        what: `echo, ${width} in flight`,
      },
    );
  rows.push(...(await echoes(1)), ...(await echoes(64)));
  rows.push(
    ...(await contest(
      by((peer, count) => inFlight(64, count, () => peer.nothing())),
      {
        ...options,
        what: "no-op, 64 in flight",
      },
    )),
    ...(await contest(
      by(
        async (peer, count) => {
          const got = await peer.items!(count);
          if (got !== count) throw new Error(`${got} of ${count} items of ${peer.name} came.`);
        },
        all.filter(({ items }) => items !== undefined),
      ),
      { ...options, what: "items of a stream" },
    )),
    ...(await contest(
      by(
        (peer, count) => inFlight(4, count, () => peer.take!(MEGABYTE)),
        all.filter(({ take }) => take !== undefined),
      ),
      { ...options, what: "1 MB there, 4 in flight" },
    )),
  );
  const found = await latencies(
    all.map(({ name, ...peer }) => ({ name, call: () => peer.echo(PAYLOAD) })),
    { ...options, what: "echo, 1 in flight" },
  );
  for (const { stop } of all) await stop();
  return {
    rows,
    latencies: found,
    versions: peerVersions(),
    notes: missing.map((value) => ({ what: "not measured", value })),
  };
});
