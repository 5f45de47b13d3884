/** Large binary in shared memory beside the same as bytes of the connection, to one replica and as a broadcast to four. */
import { Echo } from "../fixtures/echo.ts";
import { contest, type Contender, type Row } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { inFlight } from "../harness/in-flight.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite, type SuiteResult, type Value } from "../harness/suite.ts";
import { RawEcho } from "../raw-echo.ts";
import { openMappedMemory } from "../../src/transport/mapped-memory.ts";

const WIDTH = 4;
const REPLICAS = 4;
const cases = [
  { size: "1 MB", bytes: 1_048_576 },
  { size: "16 MB", bytes: 16_777_216 },
];

/** Both sides look at every page: what is mapped costs only then. */
const look = new Echo();

await suite(async (options): Promise<SuiteResult> => {
  const probe = openMappedMemory(new Uint8Array(32));
  if (probe === undefined) {
    const value = "left out: it needs Linux and the package koffi (npm install koffi)";
    return {
      values: [{ what: "ways measured", value: 0, unit: "", better: "higher" }],
      notes: [{ what: "shared memory", value }],
    };
  }
  probe.close();
  const raw = await RawEcho.start({ large: true });
  const driver = await Driver.open();
  const { echo, pids } = await driver.run("bench");
  const { echo: four, pids: fourPids } = await driver.run("bench-four", { numReplicas: REPLICAS });
  pinPeers(options.placement, [raw.pid, ...pids, ...fourPids]);
  const ways = [
    { name: "in the message", echo: echo.options({ byReference: false }), four: four.options({ byReference: false }) },
    { name: "in shared memory", echo, four },
  ];
  const rows: Row[] = [];
  const values: Value[] = [];
  const compare = async (what: string, bytes: number, contenders: readonly Contender[]): Promise<void> => {
    const found = await contest(contenders, { ...options, what });
    rows.push(...found);
    const [message, memory] = found.slice(-2) as [Row, Row];
    for (const { contender, median } of [message, memory])
      values.push({ what: `${what}, ${contender}`, value: (median * bytes) / 1e9, unit: "GB/s", better: "higher" });
    values.push({
      what: `${what}, shared memory beside the message`,
      value: memory.ratio / message.ratio,
      unit: "",
      better: "higher",
      isRatio: true,
    });
  };
  for (const { size, bytes } of cases) {
    const payload = new Uint8Array(bytes).fill(7);
    await compare(`${size} there`, bytes, [
      { name: "raw frame", run: (count) => raw.take(WIDTH, count, bytes), peers: [raw.pid] },
      ...ways.map(({ name, echo: one }) => ({
        name,
        run: (count: number) => inFlight(WIDTH, count, () => one.read.remote(payload)),
        peers: pids,
      })),
    ]);
    await compare(`${size} back`, bytes, [
      { name: "raw frame", run: (count) => raw.give(WIDTH, count, bytes), peers: [raw.pid] },
      ...ways.map(({ name, echo: one }) => ({
        name,
        run: (count: number) => inFlight(WIDTH, count, async () => look.read(await one.give.remote(bytes))),
        peers: pids,
      })),
    ]);
  }
  const { bytes } = cases[1]!;
  const payload = new Uint8Array(bytes).fill(7);
  await compare(
    `16 MB to ${REPLICAS} replicas`,
    bytes * REPLICAS,
    ways.map(({ name, four: all }) => ({
      name: name === "in the message" ? `${REPLICAS} copies ${name}` : `one copy ${name}`,
      run: (count: number) => inFlight(1, count, () => all.broadcast("read", payload)),
      peers: fourPids,
    })),
  );
  await driver.close();
  await raw.close();
  return { rows, values };
});
