import { text } from "node:stream/consumers";
import type { AdminStatus, InstanceDescription, LogQuery } from "../admin/admin-service.ts";
import type { ApplicationConfig, CheckedConfig } from "../config/check-config.ts";
import { StateDirectory } from "../client/state-directory.ts";
import { adminAddress } from "./admin-address.ts";
import { CommandError } from "./failure.ts";

/** A status as it travels: dates are ISO strings. */
export type StatusReport = AdminStatus;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface Ask {
  readonly body?: unknown;
  /** What a 404 means. */
  readonly missing?: string | undefined;
}

/** The REST interface of an instance, as the commands use it. Every failure is one to tell people. */
export class AdminClient {
  readonly address: string;
  readonly #token: string | undefined;

  /** @param address what `-a` gave, if anything. */
  constructor(address: string | undefined, env: NodeJS.ProcessEnv = process.env) {
    this.address = adminAddress(address);
    this.#token = env["HELIOSTAT_TOKEN"];
  }

  async status(): Promise<StatusReport> {
    return (await this.#ask("GET", "/api/v1/applications")) as StatusReport;
  }

  async config(): Promise<CheckedConfig> {
    return (await this.#ask("GET", "/api/v1/config")) as CheckedConfig;
  }

  async describe(): Promise<InstanceDescription> {
    return (await this.#ask("GET", "/api/v1/instance")) as InstanceDescription;
  }

  /** Hands over the whole goal. @returns warnings */
  async deployAll(config: CheckedConfig): Promise<readonly string[]> {
    return warningsOf(await this.#ask("PUT", "/api/v1/applications", { body: config }));
  }

  /** Adds one application, or replaces its namesake. @returns warnings */
  async deployOne(application: ApplicationConfig): Promise<readonly string[]> {
    const path = `/api/v1/applications/${encodeURIComponent(application.name)}`;
    return warningsOf(await this.#ask("PUT", path, { body: application }));
  }

  async delete(name: string): Promise<void> {
    const missing = `There is no application "${name}" at ${this.address}.`;
    await this.#ask("DELETE", `/api/v1/applications/${encodeURIComponent(name)}`, { missing });
  }

  async scale(app: string, deployment: string, targetNumReplicas: number): Promise<void> {
    const path = `/api/v1/applications/${encodeURIComponent(app)}/deployments/${encodeURIComponent(deployment)}/scale`;
    const missing = `There is no deployment "${deployment}" of an application "${app}" at ${this.address}.`;
    await this.#ask("POST", path, { body: { targetNumReplicas }, missing });
  }

  /** What the instance and its replicas have written; with `follow` until `signal` aborts, or the instance ends. */
  async *logs(query: LogQuery, signal: AbortSignal): AsyncGenerator<string> {
    const { openAnswer } = await import("./open-answer.ts");
    try {
      const url = `${this.address}/api/v1/logs?${parametersOf(query)}`;
      const answer = await openAnswer(url, { headers: this.#headers("text/plain"), signal }).catch((error: unknown) => {
        throw this.#silent(error);
      });
      if (answer.statusCode !== 200)
        throw this.#refused({ status: answer.statusCode!, body: parsed(await text(answer)) }, undefined);
      for await (const piece of answer) yield piece as string;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof CommandError) throw error;
      throw new CommandError(`The instance at ${this.address} has broken off: ${reasonOf(error)}.`);
    }
  }

  async shutdown(): Promise<void> {
    await this.#ask("POST", "/api/v1/shutdown", { body: {} });
  }

  /** Whether somebody listens there. */
  async answers(): Promise<boolean> {
    try {
      await fetch(`${this.address}/api/v1/instance`, { method: "HEAD" });
      return true;
    } catch {
      return false;
    }
  }

  async #ask(method: string, path: string, { body, missing }: Ask = {}): Promise<unknown> {
    const answer = await this.#send(method, path, body);
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    throw this.#refused(answer, missing);
  }

  async #send(method: string, path: string, body: unknown): Promise<Answer> {
    const headers = this.#headers("application/json");
    if (body !== undefined) headers["content-type"] = "application/json";
    try {
      const response = await fetch(`${this.address}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: parsed(await response.text()) };
    } catch (error) {
      throw this.#silent(error);
    }
  }

  #headers(accept: string): Record<string, string> {
    const hasToken = this.#token !== undefined && this.#token !== "";
    return hasToken ? { accept, authorization: `Bearer ${this.#token}` } : { accept };
  }

  #silent(error: unknown): CommandError {
    const crashed = new StateDirectory().crashed();
    if (crashed !== undefined && crashed.adminUrl === this.address) {
      return new CommandError(
        `The instance at ${this.address} (process ${crashed.pid}) has crashed; its replicas go on. heliostat start takes them over.`,
      );
    }
    return new CommandError(
      `Nothing answers at ${this.address} (${reasonOf(error)}). Start an instance with heliostat start, or say with -a or HELIOSTAT_ADDRESS where one is.`,
    );
  }

  #refused({ status, body }: Answer, missing: string | undefined): CommandError {
    if (status === 401) {
      const said = this.#token === undefined || this.#token === "" ? "wants a token" : "does not take this token";
      return new CommandError(`The instance at ${this.address} ${said}: set HELIOSTAT_TOKEN to that of its start.`);
    }
    if (status === 404 && missing !== undefined) return new CommandError(missing);
    const error = (body as { readonly error?: { readonly message?: unknown } } | undefined)?.error;
    if (typeof error?.message === "string") return new CommandError(error.message, status === 400 ? 2 : 1);
    return new CommandError(
      `What answers at ${this.address} is no instance of heliostat, or one of another version: it said ${status}.`,
    );
  }
}

function warningsOf(body: unknown): readonly string[] {
  return (body as { readonly warnings?: readonly string[] } | undefined)?.warnings ?? [];
}

function parametersOf(query: LogQuery): URLSearchParams {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, follow: query.follow ? "1" : undefined }))
    if (value !== undefined) parameters.set(name, String(value));
  return parameters;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** What `fetch` means by "fetch failed". */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  const { code, message: deeper } = (cause ?? {}) as NodeJS.ErrnoException;
  return code ?? deeper ?? message;
}
