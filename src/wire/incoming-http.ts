import { toError } from "../core/error-text.ts";
import { ProtocolError } from "../core/errors.ts";
import type { CloseReason, ResponseHead } from "../core/http/exchange.ts";
import type { IncomingExchange, IncomingPart, OpenedExchange, WholeResponse } from "../core/http/incoming-exchange.ts";
import { PART_COST } from "../core/http/parts.ts";
import type { ByteReader } from "./codec/reader.ts";
import type { ByteWriter } from "./codec/writer.ts";
import { readBytes, readClose, readRequestHead, writeClose, writeResponseHead } from "./exchange-format.ts";
import type { FrameHeader } from "./frame-reader.ts";
import { BULK_BYTES, ExchangeFlag, FrameType, PartFlag, ReplyFlag, saturate16 } from "./frames.ts";
import { IncomingRequest } from "./incoming-request.ts";
import type { ReplicaSession } from "./replica-session.ts";

/** The replica's side of one exchange on a connection. */
export class IncomingHttp extends IncomingRequest implements IncomingExchange {
  onPart: ((part: IncomingPart) => void) | undefined = undefined;
  /** What the caller may still send. */
  #windowBytes = 0;
  /** What was taken and not given back to the window. */
  #takenBytes = 0;
  #isWhole = false;

  /** @param frame an EXCHANGE; its body is read up to the head. */
  constructor(session: ReplicaSession, frame: { readonly header: FrameHeader; readonly reader: ByteReader }) {
    super(session, frame.header.flags & ExchangeFlag.WEB_SOCKET ? "websocket" : "fetch", frame);
  }

  override get stream(): boolean {
    return true;
  }

  override get broadcast(): boolean {
    return false;
  }

  get isWebSocket(): boolean {
    return (this.flags & ExchangeFlag.WEB_SOCKET) !== 0;
  }

  get hasParts(): boolean {
    return (this.flags & ExchangeFlag.PARTS) !== 0;
  }

  open(): OpenedExchange {
    const reader = this.takeReader();
    return { head: readRequestHead(reader), body: readBytes(reader) };
  }

  accept(): void {
    this.#room(this.session.context.limits.uploadWindowBytes);
  }

  allow(bytes: number): void {
    this.#takenBytes += bytes;
    if (this.#isWhole || this.#takenBytes < this.session.context.limits.uploadWindowBytes / 2) return;
    this.#room(this.#takenBytes);
    this.#takenBytes = 0;
  }

  /** A PART has come. @throws {ProtocolError} if it may not. */
  receive(flags: number, reader: ByteReader): void {
    if (!this.hasParts || this.#isWhole) throw new ProtocolError("A part came behind the end of an exchange's body.");
    if (flags & PartFlag.LAST) {
      const close = flags & PartFlag.CLOSE ? readClose(reader) : undefined;
      this.#isWhole = true;
      this.#deliver({ close });
      return;
    }
    if (this.#windowBytes <= 0) throw new ProtocolError("A part came for which no room was given.");
    const bytes = reader.end - reader.at + PART_COST;
    this.#windowBytes -= bytes;
    const isText = (flags & PartFlag.TEXT) !== 0;
    if (isText && !this.isWebSocket) throw new ProtocolError("A text message came for a plain HTTP request.");
    if (this.onPart === undefined) return;
    if (!isText && !reader.owned) this.session.lane().transport.memory.streamed(bytes);
    this.#deliver({ data: isText ? reader.utf8(reader.end - reader.at) : readBytes(reader), bytes });
  }

  /** What reading it sets off is this exchange's affair, whatever becomes of it: the connection has others. */
  #deliver(part: IncomingPart): void {
    try {
      this.onPart?.(part);
    } catch (error) {
      this.stop(toError(error));
    }
  }

  respond({ head, body }: WholeResponse, othersOngoing: number): void {
    if (!this.isOpen) return;
    this.#write(FrameType.RESULT, { flags: 0, aux: saturate16(othersOngoing), isLarge: false }, (out) => {
      writeResponseHead(out, head);
      if (typeof body === "string") out.utf8(body);
      else out.append(body);
    });
    this.close();
  }

  sendHead(head: ResponseHead): void {
    this.#item(ReplyFlag.HEAD, false, (out) => writeResponseHead(out, head));
  }

  sendChunk(chunk: Uint8Array): boolean {
    return this.#item(0, chunk.byteLength > BULK_BYTES, (out) => out.append(chunk));
  }

  sendMessage(message: string | Uint8Array): boolean {
    const isText = typeof message === "string";
    return this.#item(isText ? ReplyFlag.TEXT : 0, message.length > BULK_BYTES, (out) => {
      if (isText) out.utf8(message);
      else out.append(message);
    });
  }

  sendClose(close: CloseReason): void {
    this.#item(ReplyFlag.CLOSE, false, (out) => writeClose(out, close));
  }

  #room(bytes: number): void {
    if (!this.isOpen) return;
    this.#windowBytes += bytes;
    const { writer } = this.session.lane();
    const start = writer.begin(FrameType.ROOM, 0, 0, this.id);
    writer.out.u32(bytes);
    writer.end(start);
  }

  /** @returns whether another may follow. */
  #item(flags: number, isLarge: boolean, write: (out: ByteWriter) => void): boolean {
    if (!this.isOpen) return true;
    const bytes = this.#write(FrameType.ITEM, { flags, aux: this.items & 0xffff, isLarge }, write);
    this.items++;
    return this.spend(bytes);
  }

  /** Writes a frame; returns the size of its body. */
  #write(
    type: number,
    { flags, aux, isLarge }: { readonly flags: number; readonly aux: number; readonly isLarge: boolean },
    write: (out: ByteWriter) => void,
  ): number {
    const { writer } = this.session.lane(isLarge);
    const { out } = writer;
    const start = writer.begin(type, ReplyFlag.EXCHANGE | flags, aux, this.id);
    const bodyAt = out.at;
    try {
      write(out);
      this.session.checkSize(out.at - bodyAt, "response");
    } catch (error) {
      out.at = start;
      throw error;
    }
    const bytes = out.at - bodyAt;
    writer.end(start);
    return bytes;
  }
}
