import { get } from "node:https";
import { once } from "node:events";
import { serve } from "heliostat";
import { beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { inner, web } from "../../fixtures/web.ts";
import { makeCertificate } from "../../support/certificate.ts";
import { failureOf, start, watchLeftovers } from "../harness.ts";
import { ways } from "./ways.ts";

let tls: { key: string; cert: string };

beforeAll(() => {
  tls = makeCertificate();
});

it.each(ways)("H14: HTTPS and secure WebSockets, at an address that says so, $name", async ({ mode, http }) => {
  await using _ = await start(mode, web.bind(inner.bind() as never), { http: { ...http(), tls } });
  const { url } = (await serve.status()).proxies[0]!;
  expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  const text = await new Promise((resolve, reject) => {
    get(`${url}/json`, { ca: tls.cert, agent: false }, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => (body += chunk.toString())).on("end", () => resolve(body));
    }).on("error", reject);
  });
  expect(JSON.parse(text as string)).toMatchObject({ method: "GET", url: `${url}/json` });
  const socket = new WebSocket(url.replace("https", "wss"), { ca: tls.cert });
  await once(socket, "open");
  socket.send("hello");
  expect(String((await once(socket, "message"))[0])).toBe("hello");
  socket.close();
  await once(socket, "close");
});

it.each(ways)("H14: a key without a certificate, and what is neither, are errors of run, $name", async (way) => {
  for (const wrong of [{ key: tls.key }, { key: "no", cert: "no" }]) {
    const end = watchLeftovers();
    const http = { ...way.http(), tls: wrong as never };
    const failure = await failureOf(serve.run(web.bind(inner.bind() as never), { local: way.mode === "local", http }));
    expect(failure).toMatchObject({ code: "CONFIG", path: "http.tls" });
    await end();
  }
});
