import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline, Readable } from "node:stream";
import type { Clock } from "../core/contracts/clock.ts";
import { ConfigError } from "../core/errors.ts";
import { systemClock } from "../engine/system-clock.ts";
import { closeSlowly } from "../proxy/close-slowly.ts";
import { clientErrorReply } from "../proxy/error-reply.ts";
import { refuseSocket } from "../proxy/refuse-socket.ts";
import { readHead } from "../proxy/request-head.ts";
import { notServed, readRequestLine } from "../proxy/request-line.ts";
import { adminRoutes, ok } from "./admin-routes.ts";
import type { AdminService } from "./admin-service.ts";
import { guard, isLoopbackName } from "./guard.ts";
import { openapi } from "./openapi.ts";
import { errorReply, type Reply } from "./reply.ts";
import { rayRoutes } from "./ray-routes.ts";
import { findRoute, type AdminCall, type AdminRoute } from "./route.ts";

/** How long a request may take to arrive. */
const RECEIVE_TIMEOUT_MS = 60_000;
/** How long answers that are being made may take when the server closes. */
const CLOSE_TIMEOUT_MS = 5_000;

export interface AdminServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Who does not send it is refused. Without one only programs of this machine are served. */
  readonly token?: string | undefined;
  readonly service: AdminService;
  readonly clock?: Clock;
}

export interface AdminServer {
  /** Without a slash at the end. */
  readonly url: string;
  /** Lets answers that are being made leave. Idempotent. */
  close(): Promise<void>;
}

/**
 * Opens the interface that an instance is steered by.
 *
 * @throws {ConfigError} if the port is taken, or if others could steer the instance.
 */
export async function openAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { host, port, token, service, clock = systemClock } = options;
  if (token === "" || (token === undefined && !isLoopbackName(host))) {
    throw new ConfigError(
      token === ""
        ? "The token is empty. Give one that is hard to guess."
        : `Everybody who reaches ${host} could run code on this machine. Give a token, or listen on 127.0.0.1.`,
      { path: "admin.token" },
    );
  }
  const description: AdminRoute = {
    method: "GET",
    path: "/api/openapi.json",
    summary: "This description.",
    answers: { 200: "An OpenAPI document." },
    run: () => ok(openapi(routes, service.describe().version)),
  };
  const routes: readonly AdminRoute[] = [...adminRoutes, ...rayRoutes, description];
  let closing: Promise<void> | undefined;
  const waiting = new Set<AbortController>();
  const server = createServer({ requestTimeout: RECEIVE_TIMEOUT_MS, requireHostHeader: false }, (request, response) => {
    const wait = new AbortController();
    waiting.add(wait);
    response.once("close", () => {
      waiting.delete(wait);
      wait.abort();
    });
    void answer(request, { routes, token, service, signal: wait.signal }).then((reply) =>
      send({ request, response, reply, clock, isLast: closing !== undefined }),
    );
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // A client that is gone has nobody who could be answered, and one that has an answer in flight gets no other.
    if (!socket.writable || error.syscall !== undefined) socket.destroy();
    else refuseSocket(socket, clientErrorReply(error), { requestId: randomUUID(), clock });
  });
  server.on("connect", (_request, socket) =>
    refuseSocket(socket, notServed("CONNECT"), { requestId: randomUUID(), clock }),
  );
  await listen(server, host, port);
  const address = server.address() as AddressInfo;
  return {
    url: `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`,
    close() {
      for (const wait of waiting) wait.abort();
      return (closing ??= close(server, clock));
    },
  };
}

type Context = Pick<AdminServerOptions, "token" | "service"> &
  Pick<AdminCall, "signal"> & { routes: readonly AdminRoute[] };

async function answer(request: IncomingMessage, { routes, token, service, signal }: Context): Promise<Reply> {
  try {
    const line = readRequestLine(request as { method: string; url: string; httpVersion: string }, readHead(request));
    if ("reply" in line) {
      const { status, text, headers } = line.reply;
      return { status, body: text, contentType: "text/plain; charset=utf-8", headers: Object.fromEntries(headers) };
    }
    guard(request, { host: line.host, token });
    const [path, query] = line.target.split("?", 2);
    const { route, params } = findRoute(routes, request.method ?? "GET", path!);
    return await route.run({ service, request, signal, params, query: new URLSearchParams(query) });
  } catch (error) {
    return errorReply(error);
  }
}

interface Sending {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly reply: Reply;
  readonly clock: Clock;
  /** The connection is not wanted any longer. */
  readonly isLast: boolean;
}

function send({ request, response, reply, clock, isLast }: Sending): void {
  const { status, body, pieces, contentType = "application/json", headers = {}, whenSent } = reply;
  const bytes = Buffer.from(contentType === "application/json" ? `${JSON.stringify(body, null, 2)}\n` : String(body));
  // Closed without being answered, too: whoever asked for the end may not wait to hear of it.
  if (whenSent !== undefined) response.once("close", whenSent);
  const isUnread = hasBody(request) && !request.complete;
  if (isUnread) closeSlowly(request, clock);
  response.writeHead(status, {
    ...headers,
    "content-type": contentType,
    ...(pieces === undefined ? { "content-length": bytes.length } : {}),
    "cache-control": "no-store",
    // The server may close while pieces come: then it need not wait for the connection too.
    ...(isLast || isUnread || whenSent !== undefined || pieces !== undefined ? { connection: "close" } : {}),
  });
  if (pieces === undefined || request.method === "HEAD") response.end(bytes);
  else {
    response.flushHeaders();
    // Should it fail, it is too late for another status: the end in the middle tells it.
    pipeline(Readable.from(pieces), response, () => {});
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function close(server: Server, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(CLOSE_TIMEOUT_MS, () => server.closeAllConnections());
    server.close(() => {
      timer.cancel();
      resolve();
    });
    server.closeIdleConnections();
  });
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      reject(
        cause.code === "EADDRINUSE"
          ? new ConfigError(
              `Port ${port} of ${host} is taken by another program, perhaps by another instance. Choose another with --admin-port; 0 takes any free one.`,
              { path: "admin.port", cause },
            )
          : new ConfigError(`Nothing can listen on ${host}, port ${port}: ${cause.message}.`, {
              path: cause.code === "EACCES" ? "admin.port" : "admin.host",
              cause,
            }),
      );
    });
    server.listen({ host, port }, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}
