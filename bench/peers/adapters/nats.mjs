import { fork, spawn } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { connect } from "@nats-io/transport-node";
import { end, firstMessage } from "./work.mjs";

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** JSON requests and replies through a server, as NATS always goes. @param options `server`: the program. */
export async function start({ server }) {
  const port = await freePort();
  const program = spawn(server, ["-a", "127.0.0.1", "-p", `${port}`], { stdio: "ignore" });
  const child = fork(fileURLToPath(import.meta.url), ["peer", `${port}`], { execArgv: [] });
  await firstMessage(child);
  const connection = await connected(port);
  const ask = (subject, body) => connection.request(subject, body, { timeout: 30_000 });
  return {
    pids: [program.pid, child.pid],
    echo: async (value) => (await ask("echo", JSON.stringify(value))).json(),
    nothing: () => ask("nothing"),
    take: async (bytes) => (await ask("take", bytes)).json(),
    async stop() {
      await connection.close();
      await end(child);
      await end(program);
    },
  };
}

async function connected(port) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await connect({ servers: `127.0.0.1:${port}`, maxPingOut: 10 });
    } catch (error) {
      if (attempt === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

if (process.argv[2] === "peer") {
  const connection = await connected(Number(process.argv[3]));
  const answer = (subject, work) =>
    connection.subscribe(subject, { callback: (_, message) => message.respond(work(message)) });
  answer("echo", (message) => JSON.stringify(message.json()));
  answer("nothing", () => undefined);
  answer("take", (message) => `${message.data.byteLength}`);
  await connection.flush();
  process.send("ready");
}
