import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { quantiles } from "./latency.ts";
import { installPackages, peersDirectory } from "./peers.ts";
import { describe, findLatency, findRow, type Report } from "./report.ts";

/** The part of echarts that is used: it draws to text, without a browser. */
interface Charts {
  init(
    element: null,
    theme: null,
    options: { renderer: "svg"; ssr: true; width: number; height: number },
  ): {
    setOption(option: object): void;
    renderToSVGString(): string;
    dispose(): void;
  };
}

interface Plot {
  readonly title: string;
  readonly x: object;
  readonly y: object;
  readonly series: readonly {
    readonly name: string;
    readonly points: readonly (readonly [number | string, number])[];
  }[];
  readonly type?: "bar";
}

const sizes = { "64 B": 64, "4 KB": 4_096, "64 KB": 65_536, "1 MB": 1_048_576, "16 MB": 16_777_216 };
const log = { type: "log", minorSplitLine: { show: true }, nameLocation: "middle" };

/** Draws what a report has figures for. @returns the names of the files. */
export async function writePlots(report: Report, directory: string): Promise<string[]> {
  installPackages();
  const charts = (await import(`${peersDirectory}node_modules/echarts/dist/echarts.esm.mjs`)) as Charts;
  mkdirSync(directory, { recursive: true });
  const plots: Record<string, Plot> = {
    "throughput.svg": throughput(report),
    "latency.svg": latency(report),
    "size.svg": size(report),
    "peers.svg": peers(report),
  };
  const written: string[] = [];
  for (const [file, plot] of Object.entries(plots)) {
    if (plot.series.every(({ points }) => points.length === 0)) continue;
    writeFileSync(join(directory, file), draw(charts, plot, describe(report)));
    written.push(file);
  }
  return written;
}

function draw(charts: Charts, { title, x, y, series, type }: Plot, subtext: string): string {
  const chart = charts.init(null, null, { renderer: "svg", ssr: true, width: 860, height: 520 });
  const shown = series.filter(({ points }) => points.length > 0);
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    title: { text: title, subtext, left: "center", subtextStyle: { fontSize: 10 } },
    legend: { bottom: 4, itemGap: 36, data: shown.map(({ name }) => name), show: shown.length > 1 },
    grid: { left: type === "bar" ? 170 : 80, right: 60, top: 70, bottom: 110 },
    xAxis: x,
    yAxis: y,
    series: shown.map(({ name, points }) =>
      type === "bar"
        ? { name, type, data: points.map(([, value]) => value), label: { show: true, position: "right", formatter } }
        : { name, type: "line", data: points, symbolSize: 6 },
    ),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

function throughput(report: Report): Plot {
  const widths = [1, 8, 64, 512];
  const line = (placement: string, contender: string): Plot["series"][number] => ({
    name: `${contender}, ${placement}`,
    points: widths.flatMap((width) => {
      const row = findRow(report, { suite: "calls", placement, what: `${width} in flight`, contender });
      return row === undefined ? [] : [[width, row.median] as const];
    }),
  });
  const contenders = ["raw coalesced echo", "handle, echo {a, b}", "handle, no-op"];
  return {
    title: "Calls a second against calls in flight",
    x: { ...log, logBase: 8, name: "in flight", nameGap: 28 },
    y: { ...log, name: "calls/s", nameGap: 55, axisLabel: { formatter: short } },
    series: ["split", "same"].flatMap((placement) => contenders.map((contender) => line(placement, contender))),
  };
}

function latency(report: Report): Plot {
  const curve = (name: string, path: Parameters<typeof findLatency>[1]): Plot["series"][number] => ({
    name,
    points: findLatency(report, path)?.quantilesUs.map((us, i) => [1 / (1 - quantiles[i]!), us] as const) ?? [],
  });
  const calls = { suite: "calls", placement: "split" };
  const others = { suite: "peers", placement: "split", what: "echo, 1 in flight" };
  return {
    title: "How long a call takes, caller and replica on two cores",
    x: {
      ...log,
      name: "share of the calls that are faster",
      nameGap: 28,
      axisLabel: { formatter: (value: number) => `${Number((100 * (1 - 1 / value)).toPrecision(4))} %` },
    },
    y: { ...log, name: "us", nameGap: 50, axisLabel: { formatter: short } },
    series: [
      curve("raw echo, 1 in flight", { ...calls, what: "1 in flight", contender: "raw coalesced echo" }),
      curve("heliostat, 1 in flight", { ...calls, what: "1 in flight", contender: "handle, echo {a, b}" }),
      curve("heliostat, 64 in flight", { ...calls, what: "64 in flight", contender: "handle, echo {a, b}" }),
      ...["fork, json", "undici to node:http", "grpc-js"].map((contender) =>
        curve(`${contender}, 1 in flight`, { ...others, contender }),
      ),
    ],
  };
}

function size(report: Report): Plot {
  const line = (way: string, contender: string, name: string): Plot["series"][number] => ({
    name,
    points: Object.entries(sizes).flatMap(([label, bytes]) => {
      const row = findRow(report, { suite: "payload", placement: "split", what: `${label} ${way}`, contender });
      return row === undefined ? [] : [[bytes, 1e6 / row.median] as const];
    }),
  });
  return {
    title: "Cost of a call against the size of its payload, two cores",
    x: { ...log, logBase: 4, name: "payload", nameGap: 28, axisLabel: { formatter: bytes } },
    y: { ...log, name: "us a call", nameGap: 50, axisLabel: { formatter: short } },
    series: [
      line("there", "argument of a call", "argument"),
      line("there", "raw frame", "raw frame there"),
      line("back", "result of a call", "result"),
      line("back", "raw frame", "raw frame back"),
    ],
  };
}

function peers(report: Report): Plot {
  const sections = report.sections.filter(({ name }) => name === "peers" || name === "ray");
  const points = sections
    .flatMap(({ name, rows = [] }) =>
      name === "ray" ? rows.filter(({ contender }) => contender !== "heliostat") : rows,
    )
    .filter(({ what }) => what === "echo, 64 in flight")
    .map(({ contender, median }) => [contender, median] as const)
    .sort((a, b) => a[1] - b[1]);
  return {
    title: "Small calls a second, 64 in flight, one caller and one that answers",
    type: "bar",
    x: { ...log, name: "calls/s", nameGap: 28, min: 100, axisLabel: { formatter: short } },
    y: { type: "category", data: points.map(([contender]) => contender) },
    series: [{ name: "echo {a, b}", points }],
  };
}

function formatter({ value }: { value: number }): string {
  return short(value);
}

function bytes(value: number): string {
  if (value >= 2 ** 20) return `${value / 2 ** 20} MB`;
  return value >= 1_024 ? `${value / 1_024} KB` : `${value} B`;
}

function short(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  return value >= 1e3 ? `${Number((value / 1e3).toPrecision(3))} k` : `${Number(value.toPrecision(3))}`;
}
