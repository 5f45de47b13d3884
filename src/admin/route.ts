import type { IncomingMessage } from "node:http";
import type { AdminService } from "./admin-service.ts";
import { notFound, RequestError, type Reply } from "./reply.ts";

export type Method = "GET" | "PUT" | "POST" | "DELETE";

/** One request, as a route sees it. */
export interface AdminCall {
  readonly service: AdminService;
  readonly request: IncomingMessage;
  readonly query: URLSearchParams;
  /** Aborts when nobody waits for the answer any more, or the server closes. */
  readonly signal: AbortSignal;
  /** What stands in the braces of the route's path, unescaped. */
  readonly params: Readonly<Record<string, string>>;
}

/** One entry of the interface: how it is found, what it does, and what its description says of it. */
export interface AdminRoute {
  readonly method: Method;
  /** With names of parameters in braces: `/api/v1/applications/{name}`. */
  readonly path: string;
  readonly summary: string;
  /** A JSON schema of what is sent, if anything is. */
  readonly body?: object;
  /** Parameters of the query, by name. */
  readonly query?: Readonly<Record<string, string>>;
  /** What its answers mean, by status. */
  readonly answers: Readonly<Record<number, string>>;
  run(call: AdminCall): Reply | Promise<Reply>;
}

export interface FoundRoute {
  readonly route: AdminRoute;
  readonly params: Readonly<Record<string, string>>;
}

/** Finds the route of a request; a slash at the end of the path changes nothing. @throws {RequestError} 400, 404 or 405 */
export function findRoute(routes: readonly AdminRoute[], method: string, path: string): FoundRoute {
  const segments = segmentsOf(path);
  const here = routes.flatMap((route) => {
    const params = match(segmentsOf(route.path), segments);
    return params === undefined ? [] : [{ route, params }];
  });
  if (here.length === 0) throw notFound(`There is nothing at ${path}. GET /api/openapi.json tells what there is.`);
  const wanted = method === "HEAD" ? "GET" : method;
  const found = here.find(({ route }) => route.method === wanted);
  if (found !== undefined) return found;
  const allowed = here.flatMap(({ route }) => (route.method === "GET" ? ["GET", "HEAD"] : [route.method])).join(", ");
  throw new RequestError(`${method} means nothing at ${path}. There is ${allowed}.`, {
    name: "MethodNotAllowedError",
    status: 405,
    headers: { allow: allowed },
  });
}

function segmentsOf(path: string): string[] {
  return path.replace(/\/$/, "").split("/");
}

function match(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, part] of pattern.entries()) {
    const segment = segments[i]!;
    if (!part.startsWith("{")) {
      if (part !== segment) return undefined;
      continue;
    }
    if (segment === "") return undefined;
    params[part.slice(1, -1)] = unescaped(segment);
  }
  return params;
}

function unescaped(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new RequestError(`"${segment}" is no right percent-encoding.`, { name: "BadRequestError", status: 400 });
  }
}
