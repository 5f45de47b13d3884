/**
 * Ray Serve beside this, in the same rounds: one caller and one replica, with Ray's defaults and with the flags that are its
 * best. Nothing is pinned: Ray has ten processes, and needs more than one core.
 */
import { contest, type Contender, type Row } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { inFlight } from "../harness/in-flight.ts";
import { latencies } from "../harness/latency.ts";
import { type RayWork, RayServe } from "../harness/ray-serve.ts";
import { suite } from "../harness/suite.ts";

const PAYLOAD = { a: 1, b: "x" };
const MEGABYTE = new Uint8Array(1_048_576);

await suite(async (options) => {
  const driver = await Driver.open();
  const rays: { name: string; ray: RayServe }[] = [];
  try {
    const { echo, pids } = await driver.run("bench");
    const streaming = echo.options({ stream: true });
    // As it is for who has not installed koffi.
    const { take } = echo.options({ byReference: false });
    const usual = await RayServe.start({ isTuned: false });
    rays.push({ name: "Ray Serve, defaults", ray: usual });
    rays.push({ name: "Ray Serve, at its best", ray: await RayServe.start({ isTuned: true }) });
    const measure = (work: RayWork, width: number, own: Contender["run"], what: string): Promise<Row[]> =>
      contest(
        [
          { name: "heliostat", run: own, peers: pids },
          ...rays.map(({ name, ray }) => ({
            name,
            run: async (count: number) => (await ray.run(work, width, count)).ms,
            peers: ray.pids,
          })),
        ],
        { ...options, what },
      );
    const rows: Row[] = [];
    for (const width of [1, 64])
      rows.push(
        ...(await measure(
          "echo",
          width,
          (count) => inFlight(width, count, () => echo.echo.remote(PAYLOAD)),
          `echo, ${width} in flight`,
        )),
      );
    rows.push(
      ...(await measure(
        "items",
        1,
        async (count) => {
          for await (const _ of streaming.items.remote(count));
        },
        "items of a stream",
      )),
      ...(await measure(
        "take",
        4,
        (count) => inFlight(4, count, () => take.remote(MEGABYTE)),
        "1 MB there, 4 in flight",
      )),
    );
    const call = (): PromiseLike<unknown> => echo.echo.remote(PAYLOAD);
    const found = await latencies(
      [
        { name: "heliostat", call },
        ...rays.map(({ name, ray }) => ({
          name,
          call,
          times: async () => (await ray.run("echo", 1, options.quick ? 50 : 100)).us,
        })),
      ],
      { ...options, what: "echo, 1 in flight" },
    );
    return { rows, latencies: found, versions: { "Ray Serve": usual.version } };
  } finally {
    for (const { ray } of rays) await ray.close();
    await driver.close();
  }
}, "free");
