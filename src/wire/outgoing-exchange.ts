import type { Part } from "../core/contracts/replica-client.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Call } from "../core/handle/call.ts";
import { ExchangeCall } from "../core/http/exchange-call.ts";
import type { Reply } from "../core/http/reply.ts";
import type { ByteReader } from "./codec/reader.ts";
import { readBytes, readClose, readResponseHead } from "./exchange-format.ts";
import { PartFlag, ReplyFlag } from "./frames.ts";

/**
 * Reads the body of a RESULT (`isWhole`) or of an ITEM of an exchange.
 *
 * @throws {ProtocolError} if the call is none.
 */
export function readReply(reader: ByteReader, flags: number, call: Call, isWhole: boolean): Reply {
  if (!(call instanceof ExchangeCall)) throw new ProtocolError("A replica answered a call as if it were an exchange.");
  if (isWhole) {
    const head = readResponseHead(reader);
    return { type: "response", head, body: readBytes(reader) };
  }
  if (flags & ReplyFlag.HEAD) return { type: "head", head: readResponseHead(reader) };
  if (flags & ReplyFlag.CLOSE) return { type: "close", ...readClose(reader) };
  const isSocket = call.template.exchange === "web-socket";
  if (flags & ReplyFlag.TEXT) {
    if (!isSocket) throw new ProtocolError("A replica sent a text message for a plain HTTP request.");
    return { type: "message", message: reader.utf8(reader.end - reader.at) };
  }
  const bytes = readBytes(reader);
  return isSocket ? { type: "message", message: bytes } : { type: "chunk", chunk: bytes };
}

export function partFlags(part: Part): number {
  if ("data" in part) return typeof part.data === "string" ? PartFlag.TEXT : 0;
  return part.close === undefined ? PartFlag.LAST : PartFlag.LAST | PartFlag.CLOSE;
}
