/** Payloads from 64 bytes to 16 MB each way, a few in flight, beside raw frames of the same size. */
import { contest, type Row } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { inFlight } from "../harness/in-flight.ts";
import { pinPeers, pinPeerThreads, threadsOfThisProcess } from "../harness/placement.ts";
import { suite, type Value } from "../harness/suite.ts";
import { RawEcho } from "../raw-echo.ts";

const inAThread = "to or from a thread";
const cases = [
  { size: "64 B", bytes: 64, width: 4 },
  { size: "4 KB", bytes: 4_096, width: 4 },
  { size: "64 KB", bytes: 65_536, width: 4 },
  { size: "1 MB", bytes: 1_048_576, width: 4 },
  { size: "16 MB", bytes: 16_777_216, width: 2 },
];

/** Beside the same frames between processes: there is no raw reference for threads, which need no kernel to copy. */
const threadCases = new Set(["64 KB", "1 MB", "16 MB"]);

await suite(async (options) => {
  const raw = await RawEcho.start({ large: true });
  const driver = await Driver.open();
  const { echo: handle, pids } = await driver.run("bench");
  // As it is for who has not installed koffi; `shared.ts` measures the other way.
  const echo = handle.options({ byReference: false });
  pinPeers(options.placement, [raw.pid, ...pids]);
  const before = threadsOfThisProcess();
  const { echo: inThread } = await driver.run("bench-thread", { isolation: "thread" });
  pinPeerThreads(options.placement, before);
  const rows: Row[] = [];
  const values: Value[] = [];
  for (const { size, bytes, width } of cases) {
    const payload = new Uint8Array(bytes).fill(7);
    const there = await contest(
      [
        { name: "raw frame", run: (count) => raw.take(width, count, bytes), peers: [raw.pid] },
        {
          name: "argument of a call",
          run: (count) => inFlight(width, count, () => echo.take.remote(payload)),
          peers: pids,
        },
        ...(threadCases.has(size)
          ? [{ name: inAThread, run: (count: number) => inFlight(width, count, () => inThread.take.remote(payload)) }]
          : []),
      ],
      { ...options, what: `${size} there` },
    );
    const back = await contest(
      [
        { name: "raw frame", run: (count) => raw.give(width, count, bytes), peers: [raw.pid] },
        {
          name: "result of a call",
          run: (count) => inFlight(width, count, () => echo.give.remote(bytes)),
          peers: pids,
        },
        ...(threadCases.has(size)
          ? [{ name: inAThread, run: (count: number) => inFlight(width, count, () => inThread.give.remote(bytes)) }]
          : []),
      ],
      { ...options, what: `${size} back` },
    );
    rows.push(...there, ...back);
    for (const row of [...there.slice(1), ...back.slice(1)]) {
      const what = row.contender === inAThread ? `${row.what}, in a thread` : row.what;
      values.push({ what, value: (row.median * bytes) / 1e9, unit: "GB/s", better: "higher" });
    }
  }
  await driver.close();
  await raw.close();
  return { rows, values };
});
