/**
 * Small calls through a handle to a replica process at 1, 64 and 512 in flight, beside a raw echo in the same rounds,
 * and beside the session alone, which is what a handle costs above the wire.
 */
import type { ReplicaClientListener } from "../../src/core/contracts/replica-client.ts";
import { Call, type CallSink, type CallTemplate } from "../../src/core/handle/call.ts";
import type { CallerSession } from "../../src/wire/caller-session.ts";
import { type Contender, contest, type Row } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { inFlight } from "../harness/in-flight.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite, type SuiteResult } from "../harness/suite.ts";
import { RawEcho } from "../raw-echo.ts";

const payload = { a: 1, b: "x" };
const args = [payload];

const template: CallTemplate = {
  app: "bench",
  deployment: "Echo",
  method: "echo",
  stream: false,
  broadcast: false,
  requestSerialization: "structured",
  responseSerialization: "structured",
  multiplexedModelId: "",
  sessionId: "",
  preferLocalRouting: false,
  byReference: true,
  spinUs: 0,
};

const unused: ReplicaClientListener = { onFinished() {}, onRefused() {}, onFree() {}, onDraining() {}, onLost() {} };

/** Calls over a session with nothing above it: a call record, and a function that is told of the result. */
function sessionCalls(session: CallerSession, width: number, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let toSend = count;
    let toCome = count;
    const send = (): void => {
      toSend--;
      session.send(
        new Call(template, sink, {
          args,
          parent: undefined,
          sequence: toSend,
          priority: 0,
          deadlineMs: Infinity,
          timeoutMs: 0,
        }),
      );
    };
    const sink: CallSink = {
      resolve() {
        toCome--;
        if (toSend > 0) send();
        else if (toCome === 0) resolve();
      },
      reject,
      item() {},
    };
    for (let i = 0; i < width && toSend > 0; i++) send();
  });
}

await suite(async ({ placement, rounds, sampleMs }): Promise<SuiteResult> => {
  const raw = await RawEcho.start();
  const driver = await Driver.open();
  const { echo, pids } = await driver.run("bench");
  const session = await driver.session("bench", unused);
  pinPeers(placement, [raw.pid, ...pids]);
  const rows: Row[] = [];
  for (const width of [1, 64, 512]) {
    const contenders: Contender[] = [
      { name: "raw coalesced echo", run: (count) => raw.echo(width, count), peers: [raw.pid] },
      { name: "session alone", run: (count) => sessionCalls(session, width, count), peers: pids },
      {
        name: "handle, echo {a, b}",
        run: (count) => inFlight(width, count, () => echo.echo.remote(payload)),
        peers: pids,
      },
      { name: "handle, no-op", run: (count) => inFlight(width, count, () => echo.nothing.remote()), peers: pids },
      { name: "load generator alone", run: (count) => inFlight(width, count, () => Promise.resolve()) },
    ];
    rows.push(...(await contest(contenders, { what: `${width} in flight`, rounds, sampleMs })));
  }
  session.close();
  await driver.close();
  await raw.close();
  return { rows, notes: notes(rows) };
});

function notes(rows: readonly Row[]): NonNullable<SuiteResult["notes"]> {
  const find = (what: string, contender: string): Row =>
    rows.find((row) => row.what === what && row.contender.startsWith(contender))!;
  const handle = find("64 in flight", "handle, echo");
  const alone = find("64 in flight", "session");
  const generator = find("64 in flight", "load");
  const rawOne = find("1 in flight", "raw");
  const handleOne = find("1 in flight", "handle, echo");
  const above = (what: string): string =>
    (find(what, "handle, echo").callerUs - find(what, "session").callerUs).toFixed(2);
  return [
    { what: "echo at 64 in flight through raw", value: handle.ratio.toFixed(2), target: "at least 0.4" },
    {
      what: "handle above the session, caller's time",
      value: `${above("64 in flight")} us at 64, ${above("512 in flight")} us at 512 in flight`,
      target: "at most 1 us a call",
    },
    {
      what: "handle above the session, by rate",
      value: `${(1e6 / handle.median - 1e6 / alone.median).toFixed(2)} us a call`,
    },
    { what: "one call above a raw echo", value: `${(1e6 / handleOne.median - 1e6 / rawOne.median).toFixed(1)} us` },
    {
      what: "load generator",
      value: `${(generator.median / handle.median).toFixed(0)} times as fast as what it measures`,
      target: "at least 5",
    },
  ];
}
