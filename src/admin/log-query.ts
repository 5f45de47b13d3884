import { ConfigError } from "../core/errors.ts";
import { LOG_LEVELS } from "../observe/log.ts";
import type { LogQuery } from "./admin-service.ts";

const DEFAULT_LINES = 1_000;
const MOST_LINES = 100_000;

/** What the query of a request for logs says, by name. */
export const logParameters = {
  app: "Only replicas of this application.",
  deployment: "Only replicas of this deployment of `app`.",
  replica: "Only the replica with this id.",
  level: `Only lines from this level on: ${LOG_LEVELS.join(", ")}. What a program writes by itself counts as info.`,
  lines: `How many of the newest lines: ${DEFAULT_LINES} if it is not said, at most ${MOST_LINES}.`,
  follow: "1: goes on with what comes.",
} as const;

/** @throws {ConfigError} for what is wrong. */
export function readLogQuery(query: URLSearchParams): LogQuery {
  const get = (name: keyof typeof logParameters): string | undefined => query.get(name) || undefined;
  const app = get("app");
  const deployment = get("deployment");
  if (deployment !== undefined && app === undefined)
    throw new ConfigError("deployment says nothing without app: send both.", { path: "deployment" });
  const level = LOG_LEVELS.find((each) => each === (get("level") ?? "debug").toLowerCase());
  if (level === undefined)
    throw new ConfigError(`level must be one of ${LOG_LEVELS.join(", ")}, not "${get("level")}".`, { path: "level" });
  const lines = get("lines") ?? String(DEFAULT_LINES);
  if (!/^\d+$/.test(lines) || Number(lines) > MOST_LINES)
    throw new ConfigError(`lines must be an integer from 0 to ${MOST_LINES}, not "${lines}".`, { path: "lines" });
  return { app, deployment, replica: get("replica"), level, lines: Number(lines), follow: isOn(query.get("follow")) };
}

/** Whether a parameter says yes: by any word but these. */
export function isOn(given: string | null): boolean {
  return given !== null && given !== "0" && given !== "false";
}
