import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { serve } from "heliostat";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { inner, web } from "../../fixtures/web.ts";
import { failureOf, start } from "../harness.ts";

let folder: string;
let tls: { key: string; cert: string };

/** A certificate of its own for each run: none is kept in the repository. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "heliostat-tls-"));
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
  const files = ["-keyout", "key.pem", "-out", "cert.pem"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...files, ...names], {
    cwd: folder,
    stdio: "ignore",
  });
  tls = { key: readFileSync(join(folder, "key.pem"), "utf8"), cert: readFileSync(join(folder, "cert.pem"), "utf8") };
});
afterAll(() => rmSync(folder, { recursive: true }));

it("H14: HTTPS and secure WebSockets, at an address that says so", async () => {
  await using _ = await start("local", web.bind(inner.bind() as never), { http: { port: 0, tls } });
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

it("H14: a key without a certificate, and what is neither, are errors of run", async () => {
  for (const wrong of [{ key: tls.key }, { key: "no", cert: "no" }]) {
    const failure = await failureOf(
      serve.run(web.bind(inner.bind() as never), { local: true, http: { port: 0, tls: wrong as never } }),
    );
    expect(failure).toMatchObject({ code: "CONFIG", path: "http.tls" });
  }
});
