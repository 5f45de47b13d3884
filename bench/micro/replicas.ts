/** Small calls to 1, 2, 4 and 8 replicas, and by 1 and 4 callers that are processes of their own. */
import { contest, type Row } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { inFlight } from "../harness/in-flight.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite } from "../harness/suite.ts";
import { callers } from "../fixtures/callers.ts";

const PAYLOAD = { a: 1, b: "x" };
const REPLICAS = 4;

await suite(async (options) => {
  const driver = await Driver.open();
  const rows: Row[] = [];
  const handles = [];
  for (const numReplicas of options.smoke ? [1, 2] : [1, 2, 4, 8]) {
    const { echo, pids } = await driver.run(`replicas-${numReplicas}`, { numReplicas });
    pinPeers(options.placement, pids);
    handles.push({ name: numReplicas === 1 ? "1 replica" : `${numReplicas} replicas`, echo, pids });
  }
  for (const width of [64, 512])
    rows.push(
      ...(await contest(
        handles.map(({ name, echo, pids }) => ({
          name,
          run: (count) => inFlight(width, count, () => echo.echo.remote(PAYLOAD)),
          peers: pids,
        })),
        { ...options, what: `${width} in flight` },
      )),
    );

  const groups = [];
  for (const numCallers of options.smoke ? [1, 2] : [1, 4]) {
    const handle = await driver.runApp(`callers-${numCallers}`, callers(numCallers, REPLICAS));
    const pids = (await handle.broadcast("pids")).flat();
    pinPeers(options.placement, pids);
    groups.push({ name: numCallers === 1 ? "1 caller" : `${numCallers} callers`, numCallers, handle });
  }
  rows.push(
    ...(await contest(
      groups.map(({ name, numCallers, handle }) => ({
        name,
        async run(count) {
          const each = Math.ceil(count / numCallers);
          const startedMs = performance.now();
          await handle.broadcast("drive", 64, each);
          return ((performance.now() - startedMs) * count) / (each * numCallers);
        },
      })),
      { ...options, what: `${REPLICAS} replicas, 64 in flight by each caller` },
    )),
  );
  await driver.close();
  return { rows };
}, "free");
