import { Counter, Gauge, Registry } from "prom-client";
import type { AdminStatus } from "../admin/admin-service.ts";
import { type AppTraffic, LATENCY_BOUNDS_MS } from "../proxy/traffic.ts";

/** The text that Prometheus reads, made of plain counters when it asks. */
export async function metricsText({ applications }: AdminStatus, traffic: readonly AppTraffic[]): Promise<string> {
  const registers = [new Registry()];
  const gauge = (name: string, help: string, labelNames: string[]) => new Gauge({ name, help, labelNames, registers });
  const running = gauge("heliostat_application_running", "1 if the application runs.", ["application"]);
  const target = gauge("heliostat_deployment_replicas_target", "Replicas that there should be.", [
    "application",
    "deployment",
  ]);
  const replicas = gauge("heliostat_deployment_replicas", "Replicas by state.", ["application", "deployment", "state"]);
  for (const { name, status, deployments } of Object.values(applications)) {
    running.set({ application: name }, status === "RUNNING" ? 1 : 0);
    for (const [deployment, report] of Object.entries(deployments)) {
      target.set({ application: name, deployment }, report.targetReplicas);
      for (const { state } of report.replicas) replicas.inc({ application: name, deployment, state });
    }
  }
  const requests = new Counter({
    name: "heliostat_http_requests_total",
    help: "Requests that the proxy has answered, by status; 499: the client left.",
    labelNames: ["application", "status"],
    registers,
  });
  const lines: string[] = [];
  for (const { app, byStatus, latency, latencySumMs } of traffic) {
    for (const [status, count] of Object.entries(byStatus)) requests.inc({ application: app, status }, count);
    lines.push(...histogram(app, latency, latencySumMs));
  }
  const head = [
    "# HELP heliostat_http_request_duration_seconds From the head of a request to the end of its answer.",
    "# TYPE heliostat_http_request_duration_seconds histogram",
  ];
  return `${await registers[0]!.metrics()}\n${[...head, ...lines].join("\n")}\n`;
}

/** prom-client's own histogram takes one observation after another; here they are counted already. */
function histogram(app: string, counts: readonly number[], sumMs: number): string[] {
  const name = "heliostat_http_request_duration_seconds";
  const label = `application=${JSON.stringify(app)}`;
  let total = 0;
  const buckets = counts.map((count, i) => {
    total += count;
    const bound = LATENCY_BOUNDS_MS[i];
    return `${name}_bucket{${label},le="${bound === undefined ? "+Inf" : bound / 1_000}"} ${total}`;
  });
  return [...buckets, `${name}_sum{${label}} ${sumMs / 1_000}`, `${name}_count{${label}} ${total}`];
}
