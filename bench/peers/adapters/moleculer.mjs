import { fork } from "node:child_process";
import { createServer } from "node:net";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { ServiceBroker } from "moleculer";
import { echo, end, firstMessage, nothing } from "./work.mjs";

const broker = (nodeID, port, otherUrl) =>
  new ServiceBroker({
    nodeID,
    logger: false,
    transporter: { type: "TCP", options: { udpDiscovery: false, port, urls: [otherUrl] } },
  });

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function start() {
  const [own, other] = [await freePort(), await freePort()];
  const child = fork(fileURLToPath(import.meta.url), ["peer", `${other}`, `${own}`], { execArgv: [] });
  await firstMessage(child);
  const caller = broker("caller", own, `tcp://127.0.0.1:${other}/peer`);
  await caller.start();
  await caller.waitForServices("work", 10_000);
  return {
    pids: [child.pid],
    echo: (value) => caller.call("work.echo", value),
    nothing: () => caller.call("work.nothing"),
    async items(count) {
      let items = 0;
      for await (const _ of await caller.call("work.items", { count })) items++;
      return items;
    },
    async stop() {
      await caller.stop();
      await end(child);
    },
  };
}

if (process.argv[2] === "peer") {
  const peer = broker("peer", Number(process.argv[3]), `tcp://127.0.0.1:${process.argv[4]}/caller`);
  peer.createService({
    name: "work",
    actions: {
      echo: ({ params }) => echo(params),
      nothing: () => nothing(),
      items: ({ params }) =>
        Readable.from(
          (function* () {
            for (let i = 0; i < params.count; i++) yield { i };
          })(),
          { objectMode: true },
        ),
    },
  });
  await peer.start();
  process.send("ready");
}
