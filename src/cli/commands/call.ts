import type { Command } from "commander";
import { addressOption } from "../admin-address.ts";
import { AdminClient } from "../admin-client.ts";
import { CommandError } from "../failure.ts";

interface CallFlags {
  readonly stream?: true;
  readonly modelId?: string;
  readonly timeoutMs?: number;
  readonly address?: string;
}

interface Callee {
  readonly app: string;
  readonly deployment: string | undefined;
  readonly method: string;
}

/** A handle to whatever there is: what its methods take is the user's to know. */
interface AnyHandle {
  options(options: object): { remote(...args: unknown[]): PromiseLike<unknown> & AsyncIterable<unknown> };
}

export function addCall(root: Command): void {
  root
    .command("call")
    .description("Call a method and print its result as JSON.")
    .argument("<callee>", "APP[/DEPLOYMENT][.METHOD]; without a deployment the ingress, without a method `call`")
    .argument("[arguments...]", "the arguments, each as JSON")
    .option("--stream", "print the items of a stream, a line each")
    .option("--model-id <id>", "the multiplexed model that is asked for")
    .option("--timeout-ms <ms>", "give up after so long", millisecondsOf)
    .addOption(addressOption())
    .action(call);
}

async function call(text: string, words: string[], flags: CallFlags): Promise<void> {
  const { app, deployment, method } = calleeOf(text);
  const args = words.map(argumentOf);
  const client = new AdminClient(flags.address);
  const { applications } = await client.status();
  const known = applications[app];
  if (known === undefined)
    throw new CommandError(
      `There is no application "${app}" at ${client.address}. Running: ${listed(Object.keys(applications))}.`,
    );
  if (deployment !== undefined && !(deployment in known.deployments))
    throw new CommandError(
      `Application "${app}" has no deployment "${deployment}". It has: ${listed(Object.keys(known.deployments))}.`,
    );
  // The call itself goes straight to a replica; the client finds out by this address where they are.
  process.env["HELIOSTAT_ADDRESS"] = client.address;
  const { serve } = await import("../../app/serve.ts");
  const handle = (deployment === undefined
    ? serve.getAppHandle(app)
    : serve.getDeploymentHandle(deployment, app)) as unknown as AnyHandle;
  const response = handle
    .options({
      methodName: method,
      ...(flags.stream === true ? { stream: true } : {}),
      ...(flags.modelId === undefined ? {} : { multiplexedModelId: flags.modelId }),
      ...(flags.timeoutMs === undefined ? {} : { timeoutMs: flags.timeoutMs }),
    })
    .remote(...args);
  try {
    if (flags.stream === true) for await (const item of response) print(item);
    else print(await response);
  } finally {
    await serve.shutdown();
  }
}

function calleeOf(text: string): Callee {
  const slash = text.indexOf("/");
  const dot = text.indexOf(".", slash + 1);
  const head = dot === -1 ? text : text.slice(0, dot);
  const app = slash === -1 ? head : head.slice(0, slash);
  const deployment = slash === -1 ? undefined : head.slice(slash + 1);
  if (app === "" || deployment === "" || dot === text.length - 1)
    throw new CommandError(`"${text}" names nothing to call: write APP[/DEPLOYMENT][.METHOD].`, 2);
  return { app, deployment, method: dot === -1 ? "call" : text.slice(dot + 1) };
}

function argumentOf(word: string): unknown {
  try {
    return JSON.parse(word) as unknown;
  } catch {
    throw new CommandError(
      `The argument ${word} is no JSON. A text is written '"${word}"', in both kinds of quotes.`,
      2,
    );
  }
}

function millisecondsOf(word: string): number {
  const ms = Number(word);
  if (!(ms > 0)) throw new CommandError(`"${word}" is no time: write a number of milliseconds above 0.`, 2);
  return ms;
}

/** What JSON has no word for is shown as near to it as can be. */
function print(value: unknown): void {
  const text = JSON.stringify(value, (_key, each: unknown) => {
    if (typeof each === "bigint") return each.toString();
    if (each instanceof Map) return Object.fromEntries(each);
    if (each instanceof Set) return [...each];
    return each;
  });
  process.stdout.write(`${text ?? "null"}\n`);
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? "none" : names.map((name) => `"${name}"`).join(", ");
}
