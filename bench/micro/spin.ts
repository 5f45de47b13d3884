/**
 * Small calls through a handle with `spinUs`, beside the same without and a raw echo: 1 and 64 in flight. With `split`
 * it shows what spinning gives, with `same` what is lost where it cannot help.
 */
import { type Contender, contest, type Row } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { inFlight } from "../harness/in-flight.ts";
import { latencies, type Latency } from "../harness/latency.ts";
import { pinPeers } from "../harness/placement.ts";
import { suite, type SuiteResult, type Value } from "../harness/suite.ts";
import { RawEcho } from "../raw-echo.ts";

const payload = { a: 1, b: "x" };
/** 64 calls come back as one batch, which takes longer than 50 us. */
const windows = [50, 200];

await suite(async (options): Promise<SuiteResult> => {
  const raw = await RawEcho.start();
  const driver = await Driver.open();
  // One for each, so that none is measured with what another has found out on its connection.
  const running = await Promise.all([0, ...windows].map((spinUs) => driver.run(`spin-${spinUs}`)));
  pinPeers(options.placement, [raw.pid, ...running.flatMap(({ pids }) => pids)]);
  const ways = running.map(({ echo, pids }, i) => {
    const spinUs = i === 0 ? 0 : windows[i - 1]!;
    return { name: nameOf(spinUs), handle: echo.options({ spinUs }), pids };
  });
  const rows: Row[] = [];
  const found: Latency[] = [];
  for (const width of [1, 64]) {
    const contenders: Contender[] = [
      { name: "raw coalesced echo", run: (count) => raw.echo(width, count), peers: [raw.pid] },
      ...ways.map(({ name, handle, pids }) => ({
        name,
        run: (count: number) => inFlight(width, count, () => handle.echo.remote(payload)),
        peers: pids,
      })),
    ];
    const what = `${width} in flight`;
    rows.push(...(await contest(contenders, { ...options, what })));
    const timed = [
      ...(width === 1 ? [{ name: "raw coalesced echo", call: () => raw.echo(1, 1) }] : []),
      ...ways.map(({ name, handle }) => ({ name, call: () => handle.echo.remote(payload) })),
    ];
    found.push(...(await latencies(timed, { ...options, what, width })));
  }
  await driver.close();
  await raw.close();
  return { rows, latencies: found, values: values(rows) };
});

function nameOf(spinUs: number): string {
  return spinUs === 0 ? "handle, echo {a, b}" : `handle, spinUs ${spinUs}`;
}

function values(rows: readonly Row[]): Value[] {
  const rate = (what: string, contender: string): number =>
    rows.find((row) => row.what === what && row.contender === contender)!.ratio;
  return ["1 in flight", "64 in flight"].flatMap((what) =>
    windows.map((spinUs) => ({
      what: `rate with spinUs ${spinUs} through that without, ${what}`,
      value: rate(what, nameOf(spinUs)) / rate(what, nameOf(0)),
      unit: "x",
      better: "higher" as const,
    })),
  );
}
