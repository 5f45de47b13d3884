import type { Server } from "node:http";
import { createServer } from "node:https";
import type { ResolvedHttpOptions } from "../core/deployment/run-options.ts";
import { ConfigError } from "../core/errors.ts";

/** A server of HTTPS. @throws {ConfigError} with the path `http.tls` if key and certificate are none. */
export function createTls(options: object, { key, cert, ca }: NonNullable<ResolvedHttpOptions["tls"]>): Server {
  try {
    return createServer({ ...options, key, cert, ...(ca === undefined ? {} : { ca }) });
  } catch (cause) {
    throw new ConfigError(`http.tls is not a key and a certificate in PEM: ${(cause as Error).message}.`, {
      path: "http.tls",
      cause,
    });
  }
}

/** Begins to listen. Rejects with a {@link ConfigError} that names the option which is to be changed. */
export function listen(server: Server, { host, port }: ResolvedHttpOptions, reusePort: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(cannotListen(error, host, port)));
    server.listen({ host, port, ...(reusePort ? { reusePort } : {}) }, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}

function cannotListen(cause: NodeJS.ErrnoException, host: string, port: number): ConfigError {
  switch (cause.code) {
    case "EADDRINUSE":
      return new ConfigError(
        `Port ${port} of ${host} is taken by another program. Choose another with http.port; 0 takes any free one.`,
        { path: "http.port", cause },
      );
    case "EACCES":
      return new ConfigError(
        `Port ${port} needs rights that this process does not have. Choose one above 1023 with http.port.`,
        {
          path: "http.port",
          cause,
        },
      );
    case "ENOTSUP":
      return new ConfigError("Several processes cannot share a port on this system. Set http.workers to 1.", {
        path: "http.workers",
        cause,
      });
    default:
      return new ConfigError(`${host} is no address of this machine to listen on: ${cause.message}.`, {
        path: "http.host",
        cause,
      });
  }
}
