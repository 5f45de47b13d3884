import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { afterEach, beforeEach, expect, it } from "vitest";
import { resolveHttpOptions } from "../core/deployment/run-options.ts";
import type { ExchangeListener, ExchangeOptions } from "../core/http/exchange.ts";
import { systemClock } from "../engine/system-clock.ts";
import { Proxy } from "./proxy.ts";

const log = { debug() {}, info() {}, warn() {}, error() {} };
const head = "POST / HTTP/1.1\r\nHost: a\r\n";

let proxy: Proxy;
let client: Socket;
/** What was opened, and what came of its body afterwards. */
let opened: PromiseWithResolvers<{ options: ExchangeOptions; listener: ExchangeListener }>;
let ended: PromiseWithResolvers<void>;
let later: string[];

beforeEach(async () => {
  opened = Promise.withResolvers();
  const end = (ended = Promise.withResolvers());
  const parts: string[] = (later = []);
  proxy = await Proxy.open({
    http: resolveHttpOptions({ port: 0 }, "http"),
    clock: systemClock,
    log,
    openExchange(_app, options, listener) {
      opened.resolve({ options, listener });
      return {
        write(chunk) {
          parts.push(Buffer.from(chunk).toString());
          return true;
        },
        send: () => true,
        end: () => end.resolve(),
        taken() {},
        cancel() {},
      };
    },
  });
  proxy.setRoutes([{ app: "app", prefix: "/", backpressure: {} }]);
  client = connect(proxy.port, "127.0.0.1");
  await once(client, "connect");
});

afterEach(async () => {
  client.destroy();
  await proxy.close();
});

it("gives a body on as a whole that comes with the head, before its end is told", async () => {
  client.write(`${head}Content-Length: 5\r\n\r\nhello`);
  const { options } = await opened.promise;
  expect(Buffer.from(options.body!).toString()).toBe("hello");
});

it("gives a body on in parts that comes later", async () => {
  client.write(`${head}Content-Length: 5\r\n\r\nhel`);
  expect((await opened.promise).options.body).toBeUndefined();
  client.write("lo");
  await ended.promise;
  expect(later.join("")).toBe("hello");
});

it.each([0, 1_024, 1_025])("answers with %i bytes as they are", async (size) => {
  client.write(`${head}Content-Length: 0\r\n\r\n`);
  const { listener } = await opened.promise;
  const body = Uint8Array.from({ length: size }, (_, i) => i);
  listener.onResponse!({ status: 200, statusText: "", headers: [] }, body);
  const chunks: Buffer[] = [];
  for await (const chunk of client) {
    chunks.push(chunk as Buffer);
    const came = Buffer.concat(chunks);
    const bodyAt = came.indexOf("\r\n\r\n") + 4;
    if (bodyAt === 3 || came.byteLength < bodyAt + size) continue;
    expect(came.toString("latin1", 0, bodyAt)).toContain(`Content-Length: ${size}\r\n`);
    expect(new Uint8Array(came.subarray(bodyAt))).toEqual(body);
    break;
  }
});
