import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isIPv4 } from "node:net";
import { RequestError } from "./reply.ts";

/**
 * Refuses whoever may not steer the instance.
 *
 * With a token only who knows it may. Without one every program of this machine may, but no web page: a page of a name
 * that was made to mean this machine sends that name as `Host`, and a page of another site sends its `Origin`.
 *
 * @throws {RequestError} 401 or 403
 */
export function guard(
  request: Pick<IncomingMessage, "headers">,
  { host, token }: { readonly host: string; readonly token: string | undefined },
): void {
  const { origin, authorization } = request.headers;
  if (token !== undefined) {
    const given = /^bearer +(.*)$/i.exec(authorization ?? "")?.[1];
    if (given !== undefined && isEqual(given.trim(), token)) return;
    throw new RequestError(
      given === undefined
        ? "This instance has a token. Send it as Authorization: Bearer TOKEN; the command line takes it from HELIOSTAT_TOKEN."
        : "The token is not that of this instance.",
      { name: "UnauthorizedError", status: 401, headers: { "www-authenticate": "Bearer" } },
    );
  }
  if (!isLoopbackName(hostnameOf(host)))
    throw forbidden(`The host "${host}" is no name of this machine's loopback. Use 127.0.0.1 or localhost.`);
  if (origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`)
    throw forbidden(`Pages of ${origin} may not use this interface.`);
}

/** Whether only programs of this machine can reach a name or address. */
export function isLoopbackName(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === "localhost" || lower === "::1" || lower === "[::1]" || (isIPv4(lower) && lower.startsWith("127."));
}

function hostnameOf(host: string): string {
  return /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec(host)?.[1] ?? host;
}

/** Takes the same time wherever the two differ, and whatever their lengths. */
function isEqual(given: string, token: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

function forbidden(message: string): RequestError {
  return new RequestError(message, { name: "ForbiddenError", status: 403 });
}
