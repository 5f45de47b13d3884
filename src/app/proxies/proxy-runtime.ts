import { flushCompileCache } from "node:module";
import { text } from "node:stream/consumers";
import { Client } from "../../client/client.ts";
import { exchangeOpener } from "../../core/http/open-exchange.ts";
import { INGRESS } from "../../core/router/snapshot.ts";
import { CONTROL_SOCKET } from "../../engine/runtime-files.ts";
import { systemClock } from "../../engine/system-clock.ts";
import { handleExtension } from "../../engine/wire-setup.ts";
import { formats } from "../../formats/formats.ts";
import { stderrLog } from "../../observe/log.ts";
import { Proxy } from "../../proxy/proxy.ts";
import type { Route } from "../../proxy/route-table.ts";
import { connectSocket } from "../../transport/socket.ts";
import { ControlLink } from "../../wire/control-link.ts";
import { Lane as LaneNumber } from "../../wire/frames.ts";
import { defaultLimits } from "../../wire/limits.ts";
import type { HttpTimeouts } from "./http-proxy.ts";
import type { ProxyBootstrap, ProxyCommand, ProxyReport } from "./proxy-messages.ts";

/**
 * A process that serves HTTP for an instance: its bootstrap comes on standard input, and its id is the argument. It calls
 * replicas as any client does, and is told over a connection of its own what to serve.
 */

/** How often the controller is told what was answered, if that has changed. */
const REPORT_MS = 1_000;
/** How long the last messages may take to leave. */
const GOODBYE_MS = 200;

const { runtimeDirectory, token, http, patience } = JSON.parse(await text(process.stdin)) as ProxyBootstrap;
const secret = Buffer.from(token, "hex");
const client = new Client(() => Promise.resolve({ runtimeDirectory, token: secret }));
let proxy: Proxy | undefined;
let routes: readonly Route[] = [];
let timeouts: HttpTimeouts = http;
let isEnding = false;
let reported = 0;

const link = new ControlLink<ProxyReport, ProxyCommand>(connectSocket(`${runtimeDirectory}/${CONTROL_SOCKET}`), {
  formats: formats(handleExtension(() => client.caller)),
  limits: defaultLimits,
  onMessage: (command) => void perform(command),
  // Nobody is left who would tell what to serve.
  onClosed: () => process.exit(isEnding ? 0 : 1),
});
link.introduce({
  peerId: Buffer.from(process.argv[2]!, "hex"),
  token: secret,
  connection: 0,
  lane: LaneNumber.CONTROL,
});
link.lane.transport.start(link.lane);

async function perform(command: ProxyCommand): Promise<void> {
  switch (command.type) {
    case "listen":
      await listen(command.port, command.isAlone);
      return;
    case "routes":
      routes = command.routes;
      // So that it is known where the replicas are before the first request.
      for (const { app } of routes) client.caller.router(app, INGRESS);
      proxy?.setRoutes(routes);
      link.send({ type: "done", id: command.id });
      return;
    case "timeouts":
      timeouts = { requestTimeoutMs: command.requestTimeoutMs, keepAliveTimeoutMs: command.keepAliveTimeoutMs };
      proxy?.setTimeouts(timeouts);
      return;
    case "traffic":
      report();
      link.send({ type: "done", id: command.id });
      return;
    case "drain":
      await proxy?.drain(command.timeoutMs);
      report();
      link.send({ type: "done", id: command.id });
      return;
    case "close":
      await end();
  }
}

async function listen(port: number, isAlone: boolean): Promise<void> {
  const options = {
    ...patience,
    http: { ...http, ...timeouts, port },
    openExchange: exchangeOpener(client.caller),
    clock: systemClock,
    log: stderrLog("warn", "heliostat"),
  };
  try {
    // Another instance that shares its port too would share this one, without a word.
    if (http.workers > 1 && isAlone && port !== 0) await (await Proxy.open(options)).close();
    proxy = await Proxy.open({ ...options, sharesPort: http.workers > 1 });
    // What was told meanwhile.
    proxy.setRoutes(routes);
    proxy.setTimeouts(timeouts);
    link.send({ type: "listening", url: proxy.url, port: proxy.port });
    setInterval(reportChange, REPORT_MS).unref();
    // A process that is killed later never writes what the next one could start from.
    setImmediate(() => flushCompileCache());
  } catch (error) {
    link.send({ type: "failed", error });
    await end();
  }
}

function report(): void {
  const apps = proxy?.traffic.snapshot() ?? [];
  reported = total(apps);
  link.send({ type: "traffic", apps });
}

function reportChange(): void {
  if (proxy !== undefined && total(proxy.traffic.snapshot()) !== reported) report();
}

function total(apps: ReturnType<Proxy["traffic"]["snapshot"]>): number {
  return apps.reduce((sum, { latency }) => sum + latency.reduce((a, b) => a + b, 0), 0);
}

async function end(): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  setTimeout(() => process.exit(0), GOODBYE_MS).unref();
  await proxy?.close();
  client.close();
  link.close();
}
