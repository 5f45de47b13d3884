import type { PlainReply } from "./error-reply.ts";
import type { RouteTable } from "./route-table.ts";

/** The proxy's own answers, which come before those of every application; undefined for any other path. */
export function ownReply(
  { method, target }: { readonly method: string; readonly target: string },
  { routes, isDraining }: { readonly routes: RouteTable; readonly isDraining: boolean },
): PlainReply | undefined {
  if (!target.startsWith("/-/")) return undefined;
  const query = target.indexOf("?");
  const path = query === -1 ? target : target.slice(0, query);
  if (path !== "/-/healthz" && path !== "/-/routes") return undefined;
  if (method !== "GET" && method !== "HEAD")
    return { status: 405, text: `${path} takes GET.`, headers: [["Allow", "GET, HEAD"]] };
  if (path === "/-/routes")
    return { status: 200, text: JSON.stringify(routes), headers: [["Content-Type", "application/json"]] };
  if (isDraining) return { status: 503, text: "This proxy is draining.", headers: [] };
  if (routes.routes.length === 0) return { status: 503, text: "Route table is not populated yet.", headers: [] };
  return { status: 200, text: "success", headers: [] };
}
