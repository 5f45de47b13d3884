import { serve, type DeploymentHandle } from "heliostat";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { member } from "../fixtures/member.ts";
import { starter, type Late, type Starter } from "../fixtures/starter.ts";
import { failureOf, quiet, start, until, type Running } from "./harness.ts";

/** Semantics 5: what a request has started and that goes on after it is not bound by it. */
describe.each([
  ["processes", "processes", {}],
  ["threads", "processes", { isolation: "thread" }],
  ["local", "local", {}],
] as const)("what goes on after its request (%s)", (_, mode, options) => {
  const TIMEOUT_MS = 250;
  let running: Running<Starter>;
  let handle: DeploymentHandle<Starter>;
  let url = "";

  beforeAll(async () => {
    const callee = member.options(options).bind();
    running = await start(mode, starter.options(options).bind(callee), {
      http: { port: 0, requestTimeoutMs: TIMEOUT_MS },
    });
    handle = running.handle;
    url = (await serve.status()).proxies[0]!.url;
  });
  afterEach(() => quiet());
  afterAll(() => running[Symbol.asyncDispose]());

  /** When the time of a request that begins now is over, whoever watches it. */
  const timeIsOver = (): (() => Promise<void>) => {
    const endMs = performance.now() + TIMEOUT_MS + 20;
    return () => until(() => performance.now() > endMs, "time to pass");
  };
  const comesTo = (stage: string) => until(async () => (await handle.stage.remote()) === stage, `it is not ${stage}`);
  const works = () => comesTo("waiting");
  const hasEnded = () => comesTo("idle");

  /** It calls as if there were no request, but for the ids. */
  const expectFree = ({ here, there, startedBy }: Late): void => {
    expect(here).toEqual({ requestId: startedBy, hasDeadline: false, aborted: false });
    expect(there).toMatchObject({ requestId: startedBy, deadline: undefined, aborted: false });
  };

  it("calls on when the deadline of a request that has ended before is over", async () => {
    const over = timeIsOver();
    const requestId = await handle.options({ timeoutMs: TIMEOUT_MS }).unary.remote();
    await over();
    const late = await handle.go.remote();
    expect(late.startedBy).toBe(requestId);
    expectFree(late);
  });

  it("calls on when its request is cancelled after its end", async () => {
    const response = handle.unary.remote();
    await response;
    response.cancel();
    expectFree(await handle.go.remote());
  });

  it("calls on when its request was cancelled while it worked", async () => {
    const response = handle.untilAborted.remote();
    await works();
    response.cancel();
    await failureOf(response);
    await hasEnded();
    expectFree(await handle.go.remote());
  });

  it("calls on when its request was out of time while it worked", async () => {
    await failureOf(handle.options({ timeoutMs: TIMEOUT_MS }).untilAborted.remote());
    await hasEnded();
    expectFree(await handle.go.remote());
  });

  it("calls on when its request has failed", async () => {
    const over = timeIsOver();
    await failureOf(handle.options({ timeoutMs: TIMEOUT_MS }).throws.remote());
    await over();
    expectFree(await handle.go.remote());
  });

  it("calls on when its stream was broken off", async () => {
    for await (const _item of handle.options({ stream: true }).stream.remote()) break;
    await hasEnded();
    expectFree(await handle.go.remote());
  });

  it("calls on when it was begun by a batch", async () => {
    const over = timeIsOver();
    const requestId = await handle.options({ timeoutMs: TIMEOUT_MS }).inBatch.remote();
    await over();
    const late = await handle.go.remote();
    expect(late.startedBy).toBe(requestId);
    expectFree(late);
  });

  it("calls on when the time of its HTTP request is over", async () => {
    const over = timeIsOver();
    expect(await (await fetch(url)).text()).toBe("ok");
    await over();
    expectFree(await handle.go.remote());
  });

  it("calls on when its HTTP request was out of time while it worked", async () => {
    expect((await fetch(`${url}/hang`)).status).toBe(408);
    await hasEnded();
    expectFree(await handle.go.remote());
  });

  it("calls on when the client of its HTTP request has left", async () => {
    const controller = new AbortController();
    const answer = fetch(`${url}/hang`, { signal: controller.signal });
    await works();
    controller.abort();
    await failureOf(answer);
    await hasEnded();
    expectFree(await handle.go.remote());
  });

  it("calls on when its WebSocket was closed", async () => {
    const socket = new WebSocket(url.replace("http", "ws"));
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    socket.close();
    await new Promise((resolve) => socket.addEventListener("close", resolve));
    expectFree(await handle.go.remote());
  });

  it("is bound by its request as long as that works", async () => {
    const { here, there } = await handle.options({ timeoutMs: 60_000 }).deadlines.remote();
    // Each process sees the deadline on its own clock, in whole milliseconds.
    expect(Math.abs(there! - here!)).toBeLessThan(100);
    const response = handle.untilToldTwice.remote();
    await works();
    response.cancel();
    await failureOf(response);
    await comesTo("aborted");
    expect((await handle.go.remote()).there).toBe("RequestCancelledError");
    await handle.endIt.remote();
    await hasEnded();
    expectFree(await handle.go.remote());
  });
});
