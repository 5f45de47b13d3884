/** Calls that go through one, two and three deployments, and responses that are passed from one to another. */
import type { DeploymentResponse } from "heliostat";
import { contest, type Row } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { inFlight } from "../harness/in-flight.ts";
import { type Caller, latencies, type Latency } from "../harness/latency.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite } from "../harness/suite.ts";
import { hops } from "../fixtures/callers.ts";

const PAYLOAD = { a: 1, b: "x" };
const MEGABYTE = 1_048_576;

await suite(async (options) => {
  const driver = await Driver.open();
  const handles = [];
  for (const count of options.smoke ? [1, 2] : [1, 2, 3]) {
    const handle = await driver.runApp(`hops-${count}`, hops(count));
    handles.push({ name: count === 1 ? "1 hop" : `${count} hops`, handle, pids: await handle.pids.remote() });
  }
  const { echo: other, pids: otherPids } = await driver.run("other");
  for (const { pids } of [...handles, { pids: otherPids }]) pinPeers(options.placement, pids);
  const callers = handles.map(({ name, handle }): Caller => ({ name, call: () => handle.echo.remote(PAYLOAD) }));
  const found: Latency[] = await latencies(callers, { ...options, what: "1 in flight" });
  const rows: Row[] = await contest(
    handles.map(({ name, handle, pids }) => ({
      name,
      run: (count) => inFlight(64, count, () => handle.echo.remote(PAYLOAD)),
      peers: pids,
    })),
    { ...options, what: "64 in flight" },
  );
  const { handle: echo } = handles[0]!;
  const peers = [...handles[0]!.pids, ...otherPids];
  const passing = async <T>(what: string, width: number, { give, take }: Passing<T>): Promise<Row[]> =>
    contest(
      [
        {
          name: "awaited, then passed on",
          run: (count) => inFlight(width, count, async () => take(await give())),
          peers,
        },
        { name: "the response passed on", run: (count) => inFlight(width, count, () => take(give())), peers },
      ],
      { ...options, what: `${what} from one to another` },
    );
  // As it is for who has not installed koffi.
  const { give } = echo.options({ byReference: false });
  const { take } = other.options({ byReference: false });
  rows.push(
    ...(await passing("{a, b}", 64, {
      give: () => echo.echo.remote(PAYLOAD),
      take: (value) => other.echo.remote(value),
    })),
    ...(await passing<Uint8Array>("1 MB", 4, {
      give: () => give.remote(MEGABYTE),
      take: (bytes) => take.remote(bytes),
    })),
  );
  await driver.close();
  return { rows, latencies: found };
});

interface Passing<T> {
  give(): DeploymentResponse<T>;
  take(value: T | DeploymentResponse<T>): PromiseLike<unknown>;
}
