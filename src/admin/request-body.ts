import type { IncomingMessage } from "node:http";
import { parse } from "yaml";
import { checkConfig, type CheckResult } from "../config/check-config.ts";
import { parseConfig } from "../config/config-text.ts";
import { InvalidConfigError } from "../config/problem.ts";
import { RequestError } from "./reply.ts";

/** A larger body is no configuration. */
const MAX_BYTES = 4 * 1_048_576;
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json$/;
const YAML_TYPE = /^(?:application|text)\/(?:x-|vnd\.|[\w.-]+\+)?yaml$/;
/** What messages about YAML begin with, in place of a file's name. */
const SOURCE = "body";

interface Text {
  readonly format: "json" | "yaml";
  readonly text: string;
}

/** @throws {ConfigError} whose `problems` are all that is wrong with it. */
export async function readConfig(request: IncomingMessage): Promise<CheckResult> {
  const { format, text } = await readText(request);
  return format === "yaml" ? parseConfig(text, SOURCE) : checkConfig(parseJson(text));
}

/** A value that was not checked. @throws {ConfigError} if it is no JSON or YAML. */
export async function readValue(request: IncomingMessage): Promise<unknown> {
  const { format, text } = await readText(request);
  if (format === "json") return parseJson(text);
  try {
    return parse(text) as unknown;
  } catch (error) {
    throw malformed("YAML", error);
  }
}

async function readText(request: IncomingMessage): Promise<Text> {
  const format = formatOf(request);
  if (Number(request.headers["content-length"]) > MAX_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  // Not an iterator: leaving that destroys the request, and with it the connection the answer needs.
  await new Promise<void>((resolve, reject) => {
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BYTES) chunks.push(chunk);
      else reject(tooLarge());
    });
    request.once("end", resolve);
    request.once("error", reject);
    request.once("close", () => reject(new Error("The client left before its request was whole.")));
  });
  try {
    return { format, text: new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks)) };
  } catch (error) {
    throw malformed("UTF-8", error);
  }
}

function formatOf(request: IncomingMessage): Text["format"] {
  const { "content-type": given = "", "content-encoding": encoding = "identity" } = request.headers;
  const type = given.split(";")[0]!.trim().toLowerCase();
  if (encoding.toLowerCase() === "identity") {
    if (JSON_TYPE.test(type)) return "json";
    if (YAML_TYPE.test(type)) return "yaml";
  }
  throw new RequestError(
    "The body must be JSON or YAML, as it is: send it with Content-Type: application/json or application/yaml.",
    { name: "UnsupportedMediaTypeError", status: 415 },
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw malformed("JSON", error);
  }
}

function malformed(what: string, cause: unknown): InvalidConfigError {
  const error = new InvalidConfigError([
    { path: "", message: `The body is no right ${what}: ${(cause as Error).message}.` },
  ]);
  error.cause = cause;
  return error;
}

function tooLarge(): RequestError {
  return new RequestError(`The body is larger than ${MAX_BYTES} bytes.`, {
    name: "ContentTooLargeError",
    status: 413,
  });
}
