import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { echo, end, nothing, take } from "./work.mjs";

/** @param options `serialization`: "json" or "advanced", as `child_process.fork` has it. */
export async function start({ serialization }) {
  const child = fork(fileURLToPath(import.meta.url), ["peer"], { serialization, execArgv: [] });
  await new Promise((resolve) => child.once("message", resolve));
  const pending = new Map();
  let last = 0;
  child.on("message", ({ id, result, item }) => {
    if (item !== undefined) {
      pending.get(id).items++;
      return;
    }
    const call = pending.get(id);
    pending.delete(id);
    call.resolve(call.items > 0 ? call.items : result);
  });
  const request = (method, arg) =>
    new Promise((resolve) => {
      const id = ++last;
      pending.set(id, { resolve, items: 0 });
      child.send({ id, method, arg });
    });
  return {
    pids: [child.pid],
    echo: (value) => request("echo", value),
    nothing: () => request("nothing"),
    items: (count) => request("items", count),
    // JSON has no bytes.
    ...(serialization === "advanced" ? { take: (bytes) => request("take", bytes) } : {}),
    stop: () => end(child),
  };
}

if (process.argv[2] === "peer") {
  const methods = { echo, nothing, take };
  const sendItems = async (id, count) => {
    for (let i = 0; i < count; i++) {
      // The callback of a send is what tells that there is room again.
      if (i % 1_000 < 999) process.send({ id, item: i });
      else await new Promise((resolve) => process.send({ id, item: i }, resolve));
    }
    process.send({ id });
  };
  process.on("message", ({ id, method, arg }) => {
    if (method === "items") void sendItems(id, arg);
    else process.send({ id, result: methods[method](arg) });
  });
  process.send("ready");
}
