import type { DeploymentChange } from "../control/supervised-application.ts";
import { say, styled } from "./terminal.ts";

/** Says how deployments get on, a line for each change that means something to people. */
export class Progress {
  readonly #said = new Map<string, string>();

  change({ app, deployment, status, message }: DeploymentChange): void {
    const what = `${app}/${deployment}`;
    const line = lineOf(status, message);
    if (line === undefined || this.#said.get(what) === line) return;
    this.#said.set(what, line);
    say(`  ${what}: ${line}`);
  }
}

function lineOf(status: DeploymentChange["status"], message: string): string | undefined {
  switch (status) {
    case "UPDATING":
    case "UPSCALING":
      return message === "" ? "starting" : `starting (${message})`;
    case "HEALTHY":
      return styled("green", "ready");
    case "DOWNSCALING":
      return undefined;
    case "UNHEALTHY":
      return `${styled("yellow", "unhealthy")}: ${message}`;
    case "DEPLOY_FAILED":
      return `${styled("red", "failed")}: ${message}`;
  }
}
