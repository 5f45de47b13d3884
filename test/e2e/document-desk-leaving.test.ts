import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "heliostat";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { now, watchedDesk, type Sight } from "../fixtures/watched-desk.ts";
import { quiet, until, watchLeftovers } from "../integration/harness.ts";

const page = fileURLToPath(new URL("../../examples/document-desk/page.png", import.meta.url));
let folder: string;
let end: () => Promise<void>;
let url: URL;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "heliostat-desk-"));
  end = watchLeftovers();
  await serve.run(watchedDesk(join(folder, "sights")), { http: { port: 0 } });
  url = new URL((await serve.status()).proxies[0]!.url);
}, 60_000);
afterAll(async () => {
  await end();
  await rm(folder, { recursive: true });
});
beforeEach(() => writeFileSync(join(folder, "sights"), ""));

/** What the models have noticed since the test began. */
function sights(): Sight[] {
  const lines = readFileSync(join(folder, "sights"), "utf8").trim().split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Sight);
}

const of = (who: Sight["who"], what: Sight["what"]): Sight[] =>
  sights().filter((each) => each.who === who && each.what === what);

/** Sends a picture and breaks the connection when the time has come. Gives the moment, when nothing of it runs any more. */
async function leave(picture: Buffer, isTime: (text: string) => boolean): Promise<number> {
  const socket = connect(Number(url.port), url.hostname);
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += String(chunk)));
  socket.write(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${picture.length}\r\n\r\n`);
  socket.write(picture);
  await until(() => isTime(text), "the time to leave", 20_000);
  socket.destroy();
  const leftMs = now();
  await quiet();
  const begun = () => sights().filter(({ what }) => what === "begin").length;
  await until(
    () => sights().filter(({ what }) => what === "end").length === begun(),
    "all that was begun has ended",
    20_000,
  );
  return leftMs;
}

/** Such a call could have heard from then on: when the client left, or when its model, during which nothing is heard, was done. */
function couldHearMs({ pid, atMs }: Sight, leftMs: number): number {
  const computed = sights().filter((each) => each.pid === pid && each.what === "model ends" && each.atMs < atMs);
  return Math.max(leftMs, computed.at(-1)?.atMs ?? 0);
}

it("while the picture is decoded: the detector hears of it within 100 ms, and neither model computes", async () => {
  // Large enough that decoding takes longer than everything else here.
  const large = await sharp(page).resize(9_000, 6_750, { fit: "fill" }).png({ compressionLevel: 1 }).toBuffer();
  const leftMs = await leave(large, () => of("Detector", "begin").length > 0);
  const [heard] = of("Detector", "aborted");
  expect(heard!.atMs - leftMs).toBeLessThan(100);
  expect(sights().filter(({ what }) => what === "model begins")).toEqual([]);
}, 60_000);

it("while the detector computes, which nothing can break off: then it ends within 100 ms, and nothing follows", async () => {
  const leftMs = await leave(readFileSync(page), () => of("Detector", "model begins").length > 0);
  const [heard] = of("Detector", "aborted");
  const [ended] = of("Detector", "end");
  expect(ended!.atMs - couldHearMs(heard!, leftMs)).toBeLessThan(100);
  expect(sights().filter(({ who }) => who === "Recognizer")).toEqual([]);
});

it("while lines are read: within 100 ms no recognizer begins another, and those that compute end when they are done", async () => {
  const leftMs = await leave(readFileSync(page), (text) => text.includes("Region"));
  const begun = of("Recognizer", "begin");
  // The page has seven lines; two are read at a time, and one has been read.
  expect(begun.length).toBeGreaterThan(1);
  expect(begun.length).toBeLessThan(7);
  expect(begun.filter(({ atMs }) => atMs > leftMs + 100)).toEqual([]);
  const heard = of("Recognizer", "aborted");
  expect(heard.length).toBeGreaterThan(0);
  for (const each of heard) {
    const ended = of("Recognizer", "end").find(({ pid, atMs }) => pid === each.pid && atMs > each.atMs);
    expect(ended!.atMs - couldHearMs(each, leftMs)).toBeLessThan(100);
  }
  // Whoever has not heard of it was done before it could.
  const deaf = of("Recognizer", "end").filter(
    ({ pid, atMs }) => atMs > leftMs + 100 && heard.every((each) => each.pid !== pid),
  );
  expect(deaf).toEqual([]);
});
