import { Piscina } from "piscina";

/** One worker that takes 64 tasks at a time: with the default of one task, 64 calls wait for each other. */
export async function start() {
  const pool = new Piscina({
    filename: new URL("./pool-worker.mjs", import.meta.url).href,
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: 64,
  });
  const call = (name) => {
    const options = { name };
    return (value) => pool.run(value, options);
  };
  const peer = {
    pids: [],
    echo: call("echo"),
    nothing: call("nothing"),
    take: call("take"),
    stop: () => pool.destroy(),
  };
  await peer.nothing();
  return peer;
}
