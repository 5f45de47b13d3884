import { flushCompileCache } from "node:module";
import { connectSocket, listenSocket } from "../../transport/socket.ts";
import { runReplica } from "../replica-runtime.ts";

/** Importing it would load all of it, its promises too. */
const { readSync } = process.getBuiltinModule("node:fs");

/** The replica of a process: gets its bootstrap on standard input and its id as the argument. */
runReplica({
  bootstrap: readAll(0),
  peerId: Buffer.from(process.argv[2]!, "hex"),
  openControl: ({ controlPath }) => connectSocket(controlPath),
  openReplica: ({ address }) => connectSocket(address.socketPath!),
  async listen({ socketPath }, acceptor) {
    await listenSocket(socketPath, (transport) => acceptor.accept(transport));
    // A replica that is killed later never writes what the next one could start from.
    setImmediate(() => flushCompileCache());
    return { socketPath };
  },
  async openSharedMemory(token) {
    const { openMappedMemory } = await import("../../transport/mapped-memory.ts");
    return openMappedMemory(token);
  },
  memoryMb: () => process.memoryUsage.rss() / 1_048_576,
  exit: (code) => process.exit(code),
});

function readAll(fd: number): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const chunk = Buffer.allocUnsafe(65_536);
    let length: number;
    try {
      length = readSync(fd, chunk, 0, chunk.byteLength, null);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN") continue;
      if (code === "EOF") break;
      throw error;
    }
    if (length === 0) break;
    chunks.push(chunk.subarray(0, length));
  }
  return Buffer.concat(chunks);
}
