import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { echo, end, firstMessage, take } from "./work.mjs";

/** JSON over HTTP and a Unix socket: undici's pool to a server of node:http. Items are lines. */
export async function start() {
  const { Pool } = await import("undici");
  const directory = mkdtempSync(join(tmpdir(), "bench-http-"));
  const socketPath = join(directory, "http.sock");
  const child = fork(fileURLToPath(import.meta.url), ["peer", socketPath], { execArgv: [] });
  await firstMessage(child);
  const pool = new Pool("http://localhost", { socketPath, connections: 64, pipelining: 1 });
  const json = { "content-type": "application/json" };
  const post = async (path, body, headers = json) => (await pool.request({ method: "POST", path, body, headers })).body;
  return {
    pids: [child.pid],
    echo: async (value) => (await post("/echo", JSON.stringify(value))).json(),
    async nothing() {
      await (await post("/nothing", "")).dump();
    },
    async items(count) {
      let items = 0;
      let rest = "";
      for await (const chunk of await post("/items", JSON.stringify(count))) {
        const lines = (rest + chunk.toString("latin1")).split("\n");
        rest = lines.pop();
        for (const line of lines) {
          JSON.parse(line);
          items++;
        }
      }
      return items;
    },
    take: async (bytes) => (await post("/take", bytes, { "content-type": "application/octet-stream" })).json(),
    async stop() {
      await pool.destroy();
      await end(child);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

if (process.argv[2] === "peer") {
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", async () => {
      const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
      if (request.url === "/nothing") {
        response.writeHead(204).end();
        return;
      }
      response.writeHead(200, { "content-type": "application/json" });
      if (request.url === "/echo") response.end(JSON.stringify(echo(JSON.parse(body.toString()))));
      else if (request.url === "/take") response.end(JSON.stringify(take(body)));
      else {
        const count = JSON.parse(body.toString());
        for (let i = 0; i < count; i++) {
          // One write an item, as a program does that has them one by one; Node puts those of a turn together.
          if (!response.write(`${JSON.stringify({ i })}\n`))
            await new Promise((resolve) => response.once("drain", resolve));
        }
        response.end();
      }
    });
  });
  server.listen(process.argv[3], () => process.send("ready"));
}
