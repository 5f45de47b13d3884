import type { Command } from "commander";
import type { HttpOptions } from "../../core/serve-types.ts";
import type { Service } from "../../instance/service.ts";
import { stderrLog } from "../../observe/log.ts";
import { CommandError, exitCodeOf } from "../failure.ts";
import { Progress } from "../progress.ts";
import { ProjectWatch } from "../project-watch.ts";
import { addTarget, portOf, readTarget, workersOf } from "../target.ts";
import { complain, say, styled, warn } from "../terminal.ts";

interface RunFlags {
  readonly name: string;
  readonly routePrefix: string;
  readonly httpHost?: string;
  readonly httpPort?: number;
  readonly httpWorkers?: number;
  readonly adminPort: number;
  readonly reload?: true;
  readonly appDir: string;
}

export function addRun(root: Command): void {
  addTarget(root.command("run"))
    .description("Run an application or a configuration until Ctrl-C; everything ends with this command.")
    .option("--http-host <host>", "address to serve HTTP on (default: 127.0.0.1)")
    .option("--http-port <port>", "port to serve HTTP on; 0: any free one (default: 8000)", portOf)
    .option("--http-workers <number>", "processes that serve HTTP on that port (default: 1)", workersOf)
    .option("--admin-port <port>", "port of the REST interface; 0: any free one", portOf, 8267)
    .option("--reload", "deploy again when a file of the project changes")
    .option("-d, --app-dir <dir>", "folder from which the target is found", ".")
    .action(run);
}

async function run(target: string, words: string[], flags: RunFlags): Promise<void> {
  const { config, warnings } = await readTarget(target, words, flags);
  for (const warning of warnings) warn(warning);
  const http: HttpOptions = {
    ...config.http,
    ...(flags.httpHost === undefined ? {} : { host: flags.httpHost }),
    ...(flags.httpPort === undefined ? {} : { port: flags.httpPort }),
    ...(flags.httpWorkers === undefined ? {} : { workers: flags.httpWorkers }),
  };
  // Loaded only here: commands that ask over REST need none of it.
  const [{ Service }, { openAdminServer }] = await Promise.all([
    import("../../instance/service.ts"),
    import("../../admin/admin-server.ts"),
  ]);
  const ended = Promise.withResolvers<void>();
  const progress = new Progress();
  const service = await Service.open({
    http,
    log: stderrLog("warn", "heliostat"),
    onChange: (change) => progress.change(change),
    onShutdown: () => ended.resolve(),
  });
  const signals = new Signals(() => ended.resolve());
  let watch: ProjectWatch | undefined;
  let closeAdmin = async (): Promise<void> => {};
  try {
    const token = process.env["HELIOSTAT_TOKEN"];
    const admin = await openAdminServer({
      host: "127.0.0.1",
      port: flags.adminPort,
      token: token === "" ? undefined : token,
      service,
    });
    closeAdmin = () => admin.close();
    say(`REST interface at ${admin.url}`);
    const startedAtMs = Date.now();
    for (const { name, importPath } of config.applications) say(`Deploying "${name}" from ${importPath}`);
    service.apply({ ...config, http });
    const deployed = Promise.all([...service.goal.all.values()].map(({ done }) => done)).then(
      () => "deployed" as const,
    );
    const first = await Promise.race([deployed, ended.promise]);
    if (first === "deployed") {
      report(service);
      if (flags.reload === true) watch = reload(service, startedAtMs);
      await ended.promise;
    }
    say("Stopping …");
  } finally {
    watch?.close();
    await service.close();
    await closeAdmin();
    signals.remove();
  }
}

/** Says where each application is. @throws {CommandError} with the reason if one has failed. */
function report(service: Service): void {
  const failed = [];
  let isAsked = true;
  for (const [name, { phase, message, config, error }] of service.goal.all) {
    if (phase === "failed") {
      failed.push(`Application "${name}" could not be deployed.\n${message}`);
      isAsked &&= exitCodeOf(error) === 2;
    }
    if (phase === "running")
      say(
        `Application "${name}" is ${styled("green", "RUNNING")}${config.routePrefix === null ? "" : ` at ${urlOf(service, config.routePrefix)}`}`,
      );
  }
  if (failed.length > 0) throw new CommandError(failed.join("\n"), isAsked ? 2 : 1);
}

function urlOf({ httpUrl }: Service, prefix: string): string {
  return prefix === "/" ? `${httpUrl}/` : `${httpUrl}${prefix}`;
}

/** Deploys again whatever is made of a file that changes. What cannot be loaded leaves the old code serving. */
function reload(service: Service, startedAtMs: number): ProjectWatch {
  let readAtMs = startedAtMs;
  const files = (): string[] => [...new Set([...service.goal.all.values()].flatMap(({ files: each }) => each))];
  const again = async (): Promise<void> => {
    readAtMs = Date.now();
    say("A file has changed: deploying again");
    for (const name of service.goal.all.keys()) service.goal.renew(name);
    await Promise.all([...service.goal.all.values()].map(({ done }) => done));
    for (const [name, { phase, message }] of service.goal.all) {
      if (phase === "failed") complain(`Application "${name}" stays as it was:\n${message}`);
      else if (phase === "running") say(`Application "${name}" is ${styled("green", "RUNNING")} with the new code`);
    }
    watch.set(files(), readAtMs);
  };
  const watch = new ProjectWatch(() => void again());
  watch.set(files(), readAtMs);
  return watch;
}

/** The first signal ends in order, a second one at once; what is left then is cleaned up from outside. */
class Signals {
  readonly #listeners: Readonly<Record<"SIGINT" | "SIGTERM", () => void>>;
  #isEnding = false;

  constructor(end: () => void) {
    const on = (code: number) => () => {
      if (this.#isEnding) process.exit(code);
      this.#isEnding = true;
      end();
    };
    this.#listeners = { SIGINT: on(130), SIGTERM: on(143) };
    for (const [signal, listener] of Object.entries(this.#listeners)) process.on(signal, listener);
  }

  remove(): void {
    for (const [signal, listener] of Object.entries(this.#listeners)) process.removeListener(signal, listener);
  }
}
