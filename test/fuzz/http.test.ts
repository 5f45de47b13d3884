import { serve, type DeploymentHandle } from "heliostat";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { talker } from "../fixtures/talker.ts";
import { inner, web, type Web } from "../fixtures/web.ts";
import { quiet, until, watchLeftovers } from "../integration/harness.ts";
import { ways } from "../integration/http/ways.ts";
import { answersOf } from "../support/raw-answers.ts";
import { RawClient } from "../support/raw-client.ts";
import { serverConnections } from "../support/server-connections.ts";
import { BUDGET_MS, type Chance, forAWhile } from "./chance.ts";

/** How many requests are made at least: `FUZZ_REQUESTS=20000 npx vitest run test/fuzz/http.test.ts`. */
const REQUESTS = Number(process.env["FUZZ_REQUESTS"] ?? 0);
/** Connections of a round, at the same time. */
const CLIENTS = 8;
const KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/** What clients send: every kind of request, also such as must be refused. None asks for a head alone. */
const corpus: readonly string[] = [
  "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET /json?x=%20&y=1 HTTP/1.1\r\nHost: a.example:80\r\nX-A: 1\r\nX-A: 2\r\nCookie: a=1; b=2\r\n\r\n",
  "GET /generator?n=5 HTTP/1.1\r\nHost: a\r\nX-Request-ID: me\r\n\r\n",
  "GET http://b/text HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Prefix: /x\r\n\r\n",
  "POST /text HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
  "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: 1\r\n\r\n",
  `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n${"x".repeat(3_000)}`,
  "PUT /ignore-body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\nnine byte",
  "POST /text HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
  "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET /-/routes HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET /throws HTTP/1.1\r\nHost: a\r\nx-request-timeout-seconds: 0.2\r\n\r\n",
  "GET /slow?ms=5 HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET /hang HTTP/1.1\r\nHost: a\r\nx-request-timeout-seconds: 0.05\r\n\r\n",
  "GET /breaks HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET /cookies HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
  "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
  `GET /talk/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${KEY}\r\n\x81\x82\0\0\0\0hi\x89\x80\0\0\0\0`,
  `GET /talk/last HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: a, b\r\n${KEY}\r\n`,
  `GET /talk/refused HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${KEY}\r\n`,
  `GET /talk/lengths HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${KEY}\r\n\x01\x81\0\0\0\0a\x80\x81\0\0\0\0b\x88\x82\0\0\0\0\x03\xe8`,
  "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];
/** What is put in its place or beside it. */
const tokens = [
  "\r\n",
  "\n",
  "\r",
  " ",
  "\t",
  ":",
  "\0",
  "\xff",
  "0",
  "-1",
  ",",
  "HTTP/1.1",
  "chunked",
  "Host: b\r\n",
  "%00",
];

function mutated(chance: Chance): string {
  let text = chance.one(corpus);
  for (let n = chance.one([0, 0, 0, 1, 1, 2, 4]); n > 0; n--) {
    const at = chance.below(text.length + 1);
    const cut = chance.one([0, 1, 1, 2, chance.below(30)]);
    const put = chance.one([
      "",
      String.fromCharCode(chance.below(256)),
      chance.one(tokens),
      text.slice(at, at + chance.below(60)),
    ]);
    text = text.slice(0, at) + put + text.slice(at + cut);
  }
  return text;
}

/** One connection with a few requests on it. Throws if what comes back is not well-formed. */
async function converse(url: string, chance: Chance): Promise<number> {
  const requests = Array.from({ length: 1 + chance.below(4) }, () => mutated(chance));
  const text = requests.join("");
  const client = await RawClient.open(url);
  for (let at = 0; at < text.length && !client.socket.destroyed;) {
    const length = chance.one([text.length, text.length, 1 + chance.below(20), 1 + chance.below(300)]);
    client.write(text.slice(at, at + length));
    at += length;
    if (chance.below(3) === 0) await new Promise(setImmediate);
  }
  const ending = chance.below(6);
  if (ending === 0) client.close();
  else if (ending === 1) client.reset();
  else {
    if (ending === 2) client.socket.end();
    const patience = setTimeout(() => client.close(), 20 + chance.below(400));
    await client.closed();
    clearTimeout(patience);
  }
  await client.closed();
  checkAnswers(client, text);
  return requests.length;
}

function checkAnswers({ text, isEnded, isReset }: RawClient, asked: string): void {
  // What follows is another protocol's.
  const upgraded = /HTTP\/1\.1 101 [\s\S]*?\r\n\r\n/.exec(text);
  const http = upgraded === null ? text : text.slice(0, upgraded.index);
  try {
    const answers = answersOf(http);
    for (const { status, fields } of answers) {
      expect([typeof fields["date"], typeof fields["x-request-id"]], String(status)).toEqual(["string", "string"]);
    }
    const isWhole = answers.slice(0, -1).every((answer) => answer.isWhole);
    expect(isWhole).toBe(true);
  } catch (cause) {
    // An answer that the client itself has broken off may end anywhere.
    if ((!isEnded || isReset) && /no end of a head/.test(String(cause))) return;
    throw new Error(`${JSON.stringify(text)} came as an answer to ${JSON.stringify(asked)}.`, { cause });
  }
}

describe.each(ways)("whatever clients send, $name", ({ http, mode }) => {
  let end: () => Promise<void>;
  let handle: DeploymentHandle<Web>;
  let url: string;

  beforeAll(async () => {
    end = watchLeftovers();
    const local = mode === "local";
    handle = (await serve.run(web.options({ maxOngoingRequests: 100 }).bind(inner.bind() as never), {
      local,
      http: { ...http(), maxBodyBytes: 20_000, receiveTimeoutMs: 300, pingIntervalMs: 100, requestTimeoutMs: 2_000 },
    })) as DeploymentHandle<Web>;
    await serve.run(talker.bind(), { name: "talker", routePrefix: "/talk", local });
    ({ url } = (await serve.status()).proxies[0]!);
  });
  afterAll(() => end());

  const processes = async (): Promise<unknown> => {
    const { applications, proxies } = await serve.status();
    const replicas = Object.values(applications).flatMap(({ deployments }) =>
      Object.values(deployments).flatMap((each) => each.replicas.map(({ replicaId, pid }) => [replicaId, pid])),
    );
    return { replicas, proxies: proxies.map(({ pid }) => pid) };
  };
  it(
    "no process ends, nothing is left, and every answer is well-formed",
    { timeout: BUDGET_MS * 3 + 60_000 + REQUESTS * 20 },
    async () => {
      const before = await processes();
      let made = 0;
      const share = REQUESTS / ways.length;
      await forAWhile(
        async (chance) => {
          const counts = await Promise.all(Array.from({ length: CLIENTS }, () => converse(url, chance)));
          for (const count of counts) made += count;
        },
        Math.ceil(share / (CLIENTS * 2.5)),
      );
      expect(made).toBeGreaterThan(Math.min(share, 100));
      if (REQUESTS > 0) console.log(`${made} requests`);
      await quiet();
      await until(async () => (await handle.stats.remote()).ongoing === 0, "no request is running");
      await until(() => serverConnections(url) === 0, "all connections are closed", 10_000);
      expect(await processes()).toEqual(before);
      expect(await (await fetch(`${url}/hello`)).text()).toBe("hello");
    },
  );
});
