import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";
import { end, firstMessage } from "./work.mjs";

const definition = loader.loadSync(fileURLToPath(new URL("./work.proto", import.meta.url)));
const { Work } = grpc.loadPackageDefinition(definition);
const channelOptions = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };

/** Over a Unix socket. */
export async function start() {
  const directory = mkdtempSync(join(tmpdir(), "bench-grpc-"));
  const address = `unix:${join(directory, "grpc.sock")}`;
  const child = fork(fileURLToPath(import.meta.url), ["peer", address], { execArgv: [] });
  await firstMessage(child);
  const client = new Work(address, grpc.credentials.createInsecure(), channelOptions);
  const unary = (method) => (message) =>
    new Promise((resolve, reject) => {
      client[method](message, (error, reply) => (error ? reject(error) : resolve(reply)));
    });
  const take = unary("take");
  return {
    pids: [child.pid],
    echo: unary("echo"),
    nothing: () => unary("nothing")({}),
    items: (count) =>
      new Promise((resolve, reject) => {
        let items = 0;
        const stream = client.items({ count });
        stream.on("data", () => items++);
        stream.on("end", () => resolve(items));
        stream.on("error", reject);
      }),
    take: async (bytes) => (await take({ bytes })).count,
    async stop() {
      client.close();
      await end(child);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

if (process.argv[2] === "peer") {
  const server = new grpc.Server(channelOptions);
  server.addService(Work.service, {
    echo: (call, done) => done(null, call.request),
    nothing: (_, done) => done(null, {}),
    take: (call, done) => done(null, { count: call.request.bytes.byteLength }),
    async items(call) {
      for (let i = 0; i < call.request.count; i++) {
        if (!call.write({ i })) await new Promise((resolve) => call.once("drain", resolve));
      }
      call.end();
    },
  });
  server.bindAsync(process.argv[3], grpc.ServerCredentials.createInsecure(), () => process.send("ready"));
}
