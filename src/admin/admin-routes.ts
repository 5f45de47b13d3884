import { checkConfig, type CheckResult } from "../config/check-config.ts";
import { withAbsolutePaths } from "../config/config-file.ts";
import { InvalidConfigError } from "../config/problem.ts";
import { ConfigError } from "../core/errors.ts";
import { isOn, logParameters, readLogQuery } from "./log-query.ts";
import { notFound, type Reply } from "./reply.ts";
import { readConfig, readValue } from "./request-body.ts";
import type { AdminCall, AdminRoute } from "./route.ts";

const WRONG = "It is wrong, and nothing was changed: `error.problems` tells all of it.";
const DRY_RUN = { dryRun: "1: only checks." };
const BODY = { type: "object", description: "A configuration, in either spelling.", required: ["applications"] };
const DEPLOYMENT = "/api/v1/applications/{app}/deployments/{deployment}";

/** The interface itself; Ray Serve's routes stand beside it. */
export const adminRoutes: readonly AdminRoute[] = [
  {
    method: "GET",
    path: "/api/v1/applications",
    summary: "What runs: the status of every application, and where it comes from.",
    answers: { 200: "`applications` by name, and `proxies`." },
    run: ({ service }) => ok(service.status()),
  },
  {
    method: "PUT",
    path: "/api/v1/applications",
    summary: "Makes a configuration the whole goal: what is not in it is deleted.",
    body: BODY,
    query: DRY_RUN,
    answers: { 200: "It is right; nothing was changed.", 202: "Accepted; it is being done.", 400: WRONG },
    run: (call) => applyConfig(call, 202),
  },
  {
    method: "DELETE",
    path: "/api/v1/applications",
    summary: "Deletes every application. The instance stays.",
    answers: { 200: "They are gone." },
    run: deleteAll,
  },
  {
    method: "GET",
    path: "/api/v1/applications/{name}",
    summary: "The status of one application.",
    answers: { 200: "Its status.", 404: "There is none of this name." },
    run({ service, params }) {
      const { applications } = service.status();
      const name = params["name"]!;
      if (!Object.hasOwn(applications, name)) throw noApplication(name);
      return ok(applications[name]);
    },
  },
  {
    method: "PUT",
    path: "/api/v1/applications/{name}",
    summary: "Adds one application to what runs, or replaces its namesake.",
    body: { type: "object", description: "One application of a configuration.", required: ["importPath"] },
    query: DRY_RUN,
    answers: { 200: "It is right; nothing was changed.", 202: "Accepted; it is being done.", 400: WRONG },
    run: applyOne,
  },
  {
    method: "DELETE",
    path: "/api/v1/applications/{name}",
    summary: "Deletes one application.",
    answers: { 200: "It is being deleted.", 404: "There is none of this name." },
    run({ service, params }) {
      const name = params["name"]!;
      if (!service.delete(name)) throw noApplication(name);
      return ok({});
    },
  },
  {
    method: "POST",
    path: `${DEPLOYMENT}/scale`,
    summary: "Gives a deployment another number of replicas, until a configuration names one.",
    body: {
      type: "object",
      required: ["targetNumReplicas"],
      properties: { targetNumReplicas: { type: "integer", minimum: 1 } },
    },
    answers: { 200: "It is being scaled.", 400: WRONG, 404: "There is no such deployment." },
    run: scale,
  },
  {
    method: "GET",
    path: `${DEPLOYMENT}/decisions`,
    summary: "What the controller decided for a deployment and why, newest first.",
    answers: { 200: "`decisions`.", 404: "There is no such deployment." },
    run({ service, params: { app, deployment } }) {
      const decisions = service.decisions(app!, deployment!);
      if (decisions === undefined) throw noDeployment(app!, deployment!);
      return ok({ decisions });
    },
  },
  {
    method: "GET",
    path: "/api/v1/config",
    summary: "The configuration in force, which can be deployed again.",
    answers: { 200: "The configuration." },
    run: ({ service }) => ok(service.config()),
  },
  {
    method: "GET",
    path: "/api/v1/instance",
    summary: "What this instance is: its version, process and folders.",
    answers: { 200: "The instance." },
    run: ({ service }) => ok(service.describe()),
  },
  {
    method: "GET",
    path: "/api/v1/logs",
    summary: "What the instance and its replicas have written: lines of text, the newest last.",
    query: logParameters,
    answers: { 200: "The lines.", 400: WRONG, 404: "Nothing of that name is known, or no logs are kept." },
    run: ({ service, query, signal }) => ({
      status: 200,
      body: "",
      pieces: service.logs(readLogQuery(query), signal),
      contentType: "text/plain; charset=utf-8",
    }),
  },
  {
    method: "POST",
    path: "/api/v1/shutdown",
    summary: "Deletes the applications and ends the instance.",
    answers: { 202: "It is ending." },
    run: ({ service }) => ({ status: 202, body: {}, whenSent: () => service.shutdown() }),
  },
  {
    method: "GET",
    path: "/metrics",
    summary: "Figures for Prometheus.",
    answers: { 200: "Text in Prometheus' format." },
    run: async ({ service }) => ({
      status: 200,
      body: await service.metrics(),
      contentType: "text/plain; version=0.0.4; charset=utf-8",
    }),
  },
];

/** @param accepted the status of what is taken but not yet done: Ray Serve has another one. */
export async function applyConfig({ service, request, query }: AdminCall, accepted: number): Promise<Reply> {
  const { config, warnings } = await readConfig(request);
  const absolute = withAbsolutePaths(config, process.cwd());
  if (isDryRun(query)) return ok({ warnings });
  return { status: accepted, body: { warnings: [...warnings, ...service.apply(absolute)] } };
}

export async function deleteAll({ service }: AdminCall): Promise<Reply> {
  await service.deleteAll();
  return ok({});
}

async function applyOne({ service, request, query, params }: AdminCall): Promise<Reply> {
  const { config, warnings } = checkOne(params["name"]!, await readValue(request));
  const [application] = withAbsolutePaths(config, process.cwd()).applications;
  if (isDryRun(query)) return ok({ warnings });
  return { status: 202, body: { warnings: [...warnings, ...service.applyOne(application!)] } };
}

/** Checks one application as if it were the only one of a configuration; what is wrong is told from its own keys. */
function checkOne(name: string, given: unknown): CheckResult {
  const isObject = typeof given === "object" && given !== null && !Array.isArray(given);
  if (isObject && "name" in given && given.name !== name) {
    throw new ConfigError(
      `name is ${JSON.stringify(given.name)}, but the address says "${name}". Leave it out, or send it there.`,
      { path: "name" },
    );
  }
  const own = (text: string): string => text.replaceAll(/applications\[0\]\.?/g, "");
  try {
    const { config, warnings } = checkConfig({ applications: [isObject ? { ...given, name } : given] });
    return { config, warnings: warnings.map(own) };
  } catch (error) {
    if (!(error instanceof InvalidConfigError)) throw error;
    throw new InvalidConfigError(
      error.problems.map(({ path, message }) => ({
        path: own(path),
        message: path === "applications[0]" ? message.replace(path, "The application") : own(message),
      })),
      "The application",
    );
  }
}

async function scale({ service, request, params: { app, deployment } }: AdminCall): Promise<Reply> {
  const given = (await readValue(request)) as Record<string, unknown> | null;
  const target = given?.["targetNumReplicas"] ?? given?.["target_num_replicas"];
  if (typeof target !== "number" || !Number.isSafeInteger(target) || target < 1) {
    throw new ConfigError(
      `targetNumReplicas must be an integer of at least 1${target === undefined ? "" : `, not ${JSON.stringify(target)}`}.`,
      { path: "targetNumReplicas" },
    );
  }
  if (!service.scale(app!, deployment!, target)) throw noDeployment(app!, deployment!);
  return ok({});
}

function isDryRun(query: URLSearchParams): boolean {
  return isOn(query.get("dryRun") ?? query.get("dry_run"));
}

export function ok(body: unknown): Reply {
  return { status: 200, body };
}

function noApplication(name: string): Error {
  return notFound(`There is no application "${name}".`);
}

function noDeployment(app: string, deployment: string): Error {
  return notFound(`There is no deployment "${deployment}" of an application "${app}".`);
}
