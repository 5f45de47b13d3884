import { flushCompileCache } from "node:module";
import { text } from "node:stream/consumers";
import { Client } from "../../client/client.ts";
import { exchangeOpener } from "../../core/http/open-exchange.ts";
import { INGRESS } from "../../core/router/snapshot.ts";
import { LastingLink } from "../../engine/lasting-link.ts";
import { CONTROL_SOCKET } from "../../engine/runtime-files.ts";
import { systemClock } from "../../engine/system-clock.ts";
import { handleExtension } from "../../engine/wire-setup.ts";
import { formats } from "../../formats/formats.ts";
import { stderrLog } from "../../observe/log.ts";
import { Proxy } from "../../proxy/proxy.ts";
import type { Route } from "../../proxy/route-table.ts";
import { connectSocket } from "../../transport/socket.ts";
import { defaultLimits } from "../../wire/limits.ts";
import type { HttpTimeouts } from "./http-proxy.ts";
import { PolicyLoader } from "./policy-loader.ts";
import type { ProxyBootstrap, ProxyCommand, ProxyReport } from "./proxy-messages.ts";

/**
 * A process that serves HTTP for an instance: its bootstrap comes on standard input, and its id is the argument. It calls
 * replicas as any client does, and is told over a connection of its own what to serve. It goes on when its controller is
 * gone, and waits for another.
 */

/** How often the controller is told what was answered, if that has changed. */
const REPORT_MS = 1_000;
/** How long the last messages may take to leave. */
const GOODBYE_MS = 200;

const bootstrap = JSON.parse(await text(process.stdin)) as ProxyBootstrap;
const { runtimeDirectory, http } = bootstrap;
const secret = Buffer.from(bootstrap.token, "hex");
const log = stderrLog("warn", "heliostat");
const policies = new PolicyLoader(log);
const client = new Client(
  () => Promise.resolve({ runtimeDirectory, token: secret }),
  (snapshot) => policies.prepare(snapshot),
);
let proxy: Proxy | undefined;
let routes: readonly Route[] = [];
let timeouts: HttpTimeouts = http;
let isEnding = false;
/** Resolves when what was accepted is finished. */
let draining: Promise<void> | undefined;
let reported = 0;

const link = new LastingLink<ProxyReport, ProxyCommand>({
  clock: systemClock,
  formats: formats(handleExtension(() => client.caller)),
  limits: defaultLimits,
  token: secret,
  peerId: Buffer.from(process.argv[2]!, "hex"),
  adoptionMs: bootstrap.adoptionMs,
  open: () => connectSocket(`${runtimeDirectory}/${CONTROL_SOCKET}`),
  onMessage: (command) => void perform(command),
  onLost() {
    // Another controller has no use for one that does not serve.
    if (proxy === undefined) process.exit(1);
    if (draining === undefined) log.warn("The controller is gone; HTTP is served on, and another one is waited for.");
    else void draining.then(end);
  },
  onAgain() {
    if (draining !== undefined) return;
    link.send({ type: "listening", url: proxy!.url, port: proxy!.port });
    report();
  },
  // Nobody is left who would tell what to serve.
  onEnded: () => process.exit(isEnding ? 0 : 1),
});

async function perform(command: ProxyCommand): Promise<void> {
  switch (command.type) {
    case "listen":
      await listen(command.port, command.isAlone);
      return;
    case "routes":
      routes = command.routes;
      proxy?.setRoutes(routes);
      // From now on it can do without the controller.
      await Promise.all(routes.map(({ app }) => client.follow(app, INGRESS)));
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
      await (draining = Promise.resolve(proxy?.drain(command.timeoutMs)));
      report();
      link.send({ type: "done", id: command.id });
      return;
    case "close":
      await end();
  }
}

async function listen(port: number, isAlone: boolean): Promise<void> {
  const options = {
    http: { ...http, ...timeouts, port },
    openExchange: exchangeOpener(client.caller),
    clock: systemClock,
    log,
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
