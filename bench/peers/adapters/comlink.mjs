import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { expose, wrap } from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { echo, nothing, take } from "./work.mjs";

export async function start() {
  const worker = new Worker(new URL(import.meta.url), { execArgv: [] });
  const api = wrap(nodeEndpoint(worker));
  await api.nothing();
  return {
    pids: [],
    echo: (value) => api.echo(value),
    nothing: () => api.nothing(),
    take: (bytes) => api.take(bytes),
    stop: () => worker.terminate(),
  };
}

if (!isMainThread) expose({ echo, nothing, take }, nodeEndpoint(parentPort));
