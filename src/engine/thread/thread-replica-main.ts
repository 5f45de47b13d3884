import { isMainThread, MessagePort, parentPort, workerData } from "node:worker_threads";
import { portTransport } from "../../transport/message-port.ts";
import { connectSocket, listenSocket } from "../../transport/socket.ts";
import { runReplica } from "../replica-runtime.ts";

/** Entry point of a replica's thread: gets its bootstrap and id as worker data, and connections of the driver's thread as ports. */
if (isMainThread) throw new Error("This module is the entry point of a worker thread.");

const { bootstrap, peerId } = workerData as { readonly bootstrap: Uint8Array; readonly peerId: Uint8Array };

runReplica({
  bootstrap,
  peerId,
  openControl: ({ controlPath }) => connectSocket(controlPath),
  openReplica: ({ address }) => connectSocket(address.socketPath!),
  async listen({ socketPath, driverPid }, acceptor) {
    parentPort!.on("message", (port: unknown) => {
      if (port instanceof MessagePort) acceptor.accept(portTransport(port));
    });
    await listenSocket(socketPath, (transport) => acceptor.accept(transport));
    return { socketPath, threadOf: driverPid };
  },
  // The process's memory is everybody's; this is the thread's own.
  memoryMb: () => {
    const { heapUsed, external } = process.memoryUsage();
    return (heapUsed + external) / 1_048_576;
  },
  exit: (code) => process.exit(code),
});
