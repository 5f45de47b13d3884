import type { StatusReport } from "./admin-client.ts";
import { isTerminal, say, styled } from "./terminal.ts";

const UP_AND_CLEAR = "\u001B[A\u001B[2K\r";

/** How far applications are: lines that change where stderr is a terminal, a line for each change elsewhere. */
export class StatusLines {
  readonly #isLive = isTerminal(process.stderr);
  #shown: readonly string[] = [];

  update(report: StatusReport, names: readonly string[]): void {
    const lines = names.flatMap((name) => linesOf(name, report.applications[name]));
    if (this.#isLive) this.#redraw(lines);
    else for (const line of lines) if (!this.#shown.includes(line)) say(line);
    this.#shown = lines;
  }

  #redraw(lines: readonly string[]): void {
    if (lines.join("\n") === this.#shown.join("\n")) return;
    // A line that is wider than the terminal would be two, and the next one would clear only one of them.
    const width = process.stderr.columns || 80;
    const fitting = lines.filter((line) => visibleLength(line) < width);
    const before = this.#shown.filter((line) => visibleLength(line) < width);
    process.stderr.write(UP_AND_CLEAR.repeat(before.length) + fitting.map((line) => `${line}\n`).join(""));
  }
}

function linesOf(name: string, application: StatusReport["applications"][string] | undefined): string[] {
  if (application === undefined) return [];
  const deployments = Object.entries(application.deployments).map(
    ([deployment, { replicas, targetReplicas, status }]) => {
      const running = replicas.filter(({ state }) => state === "RUNNING").length;
      return `  ${deployment}: ${paintStatus(status)}, ${running} of ${targetReplicas} replicas`;
    },
  );
  return [`Application "${name}": ${paintStatus(application.status)}`, ...deployments];
}

/** A status in its colour. */
function paintStatus(status: string): string {
  switch (status) {
    case "RUNNING":
    case "HEALTHY":
      return styled("green", status);
    case "DEPLOY_FAILED":
    case "UNHEALTHY":
      return styled("red", status);
    default:
      return styled("yellow", status);
  }
}

function visibleLength(text: string): number {
  // oxlint-disable-next-line no-control-regex -- colours are not seen
  return text.replaceAll(/\u001B\[[\d;]*m/g, "").length;
}
