import { isMainThread, MessageChannel, Worker, workerData } from "node:worker_threads";
import { newMessagePortRpcSession, RpcTarget } from "capnweb";
import * as work from "./work.mjs";

/** Over a MessagePort to a thread, which is the fastest of its transports. */
export async function start() {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(new URL(import.meta.url), {
    execArgv: [],
    workerData: { port: port2 },
    transferList: [port2],
  });
  const api = newMessagePortRpcSession(port1);
  await api.nothing();
  return {
    pids: [],
    echo: (value) => api.echo(value),
    nothing: () => api.nothing(),
    take: (bytes) => api.take(bytes),
    async stop() {
      api[Symbol.dispose]();
      await worker.terminate();
    },
  };
}

if (!isMainThread) {
  class Served extends RpcTarget {
    echo(value) {
      return work.echo(value);
    }
    nothing() {}
    take(bytes) {
      return work.take(bytes);
    }
  }
  newMessagePortRpcSession(workerData.port, new Served());
}
