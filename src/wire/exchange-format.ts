import { ProtocolError, SerializationError } from "../core/errors.ts";
import type { CallTemplate } from "../core/handle/call.ts";
import type { HeaderFields, RequestHead, ResponseHead } from "../core/http/exchange.ts";
import type { Format, FormatTable } from "./codec/format.ts";
import type { ByteReader } from "./codec/reader.ts";
import type { ByteWriter } from "./codec/writer.ts";
import { ExchangeFlag } from "./frames.ts";

/**
 * How the head of an exchange and the body beside it are written.
 *
 * A head is one text of lines: what comes first in it, then name and value of each header field in turn. One long text
 * is written and read several times as fast as many short ones, and no part of a head may contain a line break anyway.
 */
export const exchangeFormat: Pick<Format, "encodeArgs" | "decodeArgs"> = {
  encodeArgs(args, out) {
    const [head, body] = args as [RequestHead, Uint8Array];
    writeHead(out, `${head.method}\n${head.url}`, 2, head.headers);
    out.append(body);
  },
  decodeArgs(reader) {
    const head = readRequestHead(reader);
    return [head, readBytes(reader)];
  },
};

/** The format of a call's arguments. */
export function argsFormat(template: CallTemplate, formats: FormatTable): Pick<Format, "encodeArgs" | "decodeArgs"> {
  return template.exchange === undefined ? formats.byName(template.requestSerialization) : exchangeFormat;
}

export function exchangeFlags(kind: NonNullable<CallTemplate["exchange"]>): number {
  if (kind === "whole") return 0;
  return kind === "parts" ? ExchangeFlag.PARTS : ExchangeFlag.PARTS | ExchangeFlag.WEB_SOCKET;
}

/** @throws {ProtocolError} if it is none. */
export function readRequestHead(reader: ByteReader): RequestHead {
  const lines = readLines(reader);
  if (lines.length < 2) throw new ProtocolError("The head of a request has no URL.");
  return { method: lines[0]!, url: lines[1]!, headers: fieldsOf(lines, 2) };
}

/** @throws {SerializationError} if a header or the status text contains a line break. */
export function writeResponseHead(out: ByteWriter, head: ResponseHead): void {
  out.ensure(2);
  out.view.setUint16(out.at, head.status, true);
  out.at += 2;
  writeHead(out, head.statusText, 1, head.headers);
}

/** @throws {ProtocolError} if it is none, or nothing that HTTP could say: who passes it on need not look again. */
export function readResponseHead(reader: ByteReader): ResponseHead {
  const status = reader.u16();
  if (status !== 101 && (status < 200 || status > 599)) throw new ProtocolError(`A response has the status ${status}.`);
  const text = reader.utf8(reader.u32());
  if (!HEAD_TEXT.test(text)) throw new ProtocolError("The head of a response has characters that HTTP cannot carry.");
  const lines = text.split("\n");
  const headers = fieldsOf(lines, 1);
  for (const [name] of headers)
    if (!TOKEN.test(name)) throw new ProtocolError(`A response has a header field called ${JSON.stringify(name)}.`);
  return { status, statusText: lines[0]!, headers };
}

/** What a status text or a value may hold (RFC 9110, 5.5), and the line feeds between them. */
const HEAD_TEXT = /^[\t\n\x20-\x7e\x80-\xff]*$/;
/** RFC 9110, 5.6.2. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/** The rest of a body, in memory of its own. */
export function readBytes(reader: ByteReader): Uint8Array {
  return reader.owned ? reader.bytes.subarray(reader.at, reader.end) : reader.copy();
}

export function writeClose(out: ByteWriter, { code, reason }: { code: number; reason: string }): void {
  out.ensure(2);
  out.view.setUint16(out.at, code, true);
  out.at += 2;
  out.utf8(reason);
}

export function readClose(reader: ByteReader): { code: number; reason: string } {
  return { code: reader.u16(), reason: reader.utf8(reader.end - reader.at) };
}

function writeHead(out: ByteWriter, first: string, firstLines: number, headers: HeaderFields): void {
  let text = first;
  for (let i = 0; i < headers.length; i++) text += `\n${headers[i]![0]}\n${headers[i]![1]}`;
  // A line break in a value would make two fields of one, and let whoever chose the value choose the second.
  if (countOf(text) !== firstLines - 1 + headers.length * 2)
    throw new SerializationError("A header, the URL or the status text of an HTTP message contains a line break.", {
      path: "head",
    });
  const lengthAt = out.at;
  out.ensure(4);
  out.at += 4;
  out.utf8(text);
  out.view.setUint32(lengthAt, out.at - lengthAt - 4, true);
}

/** How many line breaks there are. */
function countOf(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

function readLines(reader: ByteReader): string[] {
  return reader.utf8(reader.u32()).split("\n");
}

function fieldsOf(lines: readonly string[], start: number): HeaderFields {
  if ((lines.length - start) % 2 !== 0) throw new ProtocolError("A header field of an HTTP message has no value.");
  const fields: [string, string][] = [];
  for (let i = start; i < lines.length; i += 2) fields.push([lines[i]!, lines[i + 1]!]);
  return fields;
}
