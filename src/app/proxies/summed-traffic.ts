import type { AppTraffic } from "../../proxy/traffic.ts";

/** What several proxies have answered, by application. */
export function summedTraffic(all: readonly (readonly AppTraffic[])[]): AppTraffic[] {
  const sums = new Map<string, AppTraffic>();
  for (const one of all.flat()) {
    const other = sums.get(one.app);
    sums.set(one.app, other === undefined ? one : sum(one, other));
  }
  return [...sums.values()];
}

function sum(a: AppTraffic, b: AppTraffic): AppTraffic {
  const byStatus: Record<string, number> = { ...a.byStatus };
  for (const [status, count] of Object.entries(b.byStatus)) byStatus[status] = (byStatus[status] ?? 0) + count;
  return {
    app: a.app,
    byStatus,
    latency: a.latency.map((count, i) => count + b.latency[i]!),
    latencySumMs: a.latencySumMs + b.latencySumMs,
  };
}
