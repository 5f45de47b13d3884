/**
 * Small calls through a handle to a replica process at 1, 8, 64 and 512 in flight, beside a raw echo in the same rounds,
 * and beside the session alone, which is what a handle costs above the wire.
 */
import type { ReplicaClientListener } from "../../src/core/contracts/replica-client.ts";
import { Call, type CallTemplate } from "../../src/core/handle/call.ts";
import type { CallerSession } from "../../src/wire/caller-session.ts";
import { type Contender, contest, type Row } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { inFlight } from "../harness/in-flight.ts";
import { latencies, type Latency } from "../harness/latency.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite, type SuiteResult, type Value } from "../harness/suite.ts";
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

/** A call that tells a function of its result. */
class BareCall extends Call {
  readonly #done: () => void;
  readonly #failed: (error: Error) => void;

  constructor(sequence: number, done: () => void, failed: (error: Error) => void) {
    super(template, args, sequence);
    this.#done = done;
    this.#failed = failed;
  }

  resolve(): void {
    this.#done();
  }

  reject(error: unknown): void {
    this.#failed(error as Error);
  }

  item(): void {}
}

/** Calls over a session with nothing above it: a call record, and a function that is told of the result. */
function sessionCalls(session: CallerSession, width: number, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let toSend = count;
    let toCome = count;
    const send = (): void => {
      toSend--;
      session.send(new BareCall(toSend, done, reject));
    };
    const done = (): void => {
      toCome--;
      if (toSend > 0) send();
      else if (toCome === 0) resolve();
    };
    for (let i = 0; i < width && toSend > 0; i++) send();
  });
}

await suite(async (options): Promise<SuiteResult> => {
  const raw = await RawEcho.start();
  const driver = await Driver.open();
  const { echo, pids } = await driver.run("bench");
  const session = await driver.session("bench", unused);
  pinPeers(options.placement, [raw.pid, ...pids]);
  const rows: Row[] = [];
  const found: Latency[] = [];
  for (const width of [1, 8, 64, 512]) {
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
    const what = `${width} in flight`;
    rows.push(...(await contest(contenders, { ...options, what })));
    if (width === 1 || width === 64) {
      const timed = [
        // One echo at a time is awaited here, as calls are; with more in flight the raw echo has no single ones.
        ...(width === 1 ? [{ name: "raw coalesced echo", call: () => raw.echo(1, 1) }] : []),
        { name: "handle, echo {a, b}", call: () => echo.echo.remote(payload) },
      ];
      found.push(...(await latencies(timed, { ...options, what, width })));
    }
  }
  session.close();
  await driver.close();
  await raw.close();
  return { rows, latencies: found, values: values(rows), notes: notes(rows) };
});

function find(rows: readonly Row[], width: number, contender: string): Row {
  return rows.find((row) => row.what === `${width} in flight` && row.contender.startsWith(contender))!;
}

function values(rows: readonly Row[]): Value[] {
  return [64, 512].flatMap((width) => {
    const handle = find(rows, width, "handle, echo");
    const alone = find(rows, width, "session");
    const value = { unit: "us a call", better: "lower" } as const;
    return [
      {
        ...value,
        what: `handle above the session, caller's time, ${width} in flight`,
        value: handle.callerUs - alone.callerUs,
      },
      {
        ...value,
        what: `handle above the session, by rate, ${width} in flight`,
        value: 1e6 / handle.median - 1e6 / alone.median,
      },
    ];
  });
}

function notes(rows: readonly Row[]): NonNullable<SuiteResult["notes"]> {
  const handle = find(rows, 64, "handle, echo");
  const generator = find(rows, 64, "load");
  return [
    {
      what: "load generator",
      value: `${(generator.median / handle.median).toFixed(0)} times as fast as what it measures`,
      target: "at least 5",
    },
  ];
}
