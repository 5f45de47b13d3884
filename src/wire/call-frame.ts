import { ProtocolError, SerializationError } from "../core/errors.ts";
import { type Call, noTerms } from "../core/handle/call.ts";
import type { ByteReader } from "./codec/reader.ts";
import type { ByteWriter } from "./codec/writer.ts";
import { MetaField } from "./frames.ts";

/** The optional fields of a CALL, as they arrive. */
export interface CallMeta {
  requestId: string | undefined;
  route: string;
  /** W3C trace context of the request; "" for none. */
  traceparent: string;
  multiplexedModelId: string;
  /** Time left when it was sent; Infinity if there is no deadline. */
  remainingMs: number;
  timeoutMs: number;
  priority: number;
  /** On the clock of the machine, if both sides are on one: the time on the way counts too. */
  sentMs: number | undefined;
  /** What is large in the reply may stay where the caller can map it. */
  byReference: boolean;
  /** Of an exchange: where its client is. */
  clientAddress: string | undefined;
}

/** What a call has when it says nothing. */
export const noMeta: Readonly<CallMeta> = {
  requestId: undefined,
  route: "",
  traceparent: "",
  multiplexedModelId: "",
  remainingMs: Infinity,
  timeoutMs: 0,
  priority: 0,
  sentMs: undefined,
  byReference: true,
  clientAddress: undefined,
};

/** The fields that a call must state; 0 if all are at their defaults, as for most calls. */
export function metaMask(call: Call, sharesClock: boolean): number {
  const { terms, template } = call;
  if (terms === noTerms && template.multiplexedModelId === "") return 0;
  const { parent, deadlineMs, priority } = terms;
  let mask = 0;
  if (parent !== undefined) {
    mask |= MetaField.REQUEST_ID;
    if (parent.route !== "") mask |= MetaField.ROUTE;
    if (parent.traceparent !== "") mask |= MetaField.TRACE;
    // Calls that are made for the request have another client: the replica that makes them.
    if (template.exchange !== undefined && parent.clientAddress !== undefined) mask |= MetaField.CLIENT;
  }
  if (template.multiplexedModelId !== "") mask |= MetaField.MODEL_ID;
  if (deadlineMs !== Infinity) mask |= sharesClock ? MetaField.DEADLINE | MetaField.SENT : MetaField.DEADLINE;
  if (priority !== 0) mask |= MetaField.PRIORITY;
  return mask;
}

/** Writes the fields of `mask`, padded so that the arguments behind them are aligned to 8 bytes. */
export function writeMeta(out: ByteWriter, mask: number, call: Call, nowMs: number): void {
  const { parent, deadlineMs, timeoutMs, priority } = call.terms;
  const start = out.at;
  out.ensure(4);
  out.at += 4;
  if (mask & MetaField.REQUEST_ID) writeText(out, parent!.requestId);
  if (mask & MetaField.ROUTE) writeText(out, parent!.route);
  if (mask & MetaField.MODEL_ID) writeText(out, call.template.multiplexedModelId);
  if (mask & MetaField.DEADLINE) {
    // What is left travels, not the time of day: the clocks of two machines differ.
    out.f64(Math.max(0, deadlineMs - nowMs));
    out.f64(timeoutMs);
  }
  if (mask & MetaField.PRIORITY) out.f64(priority);
  if (mask & MetaField.SENT) out.f64(nowMs);
  if (mask & MetaField.TRACE) writeText(out, parent!.traceparent);
  if (mask & MetaField.CLIENT) writeText(out, parent!.clientAddress!);
  const padding = -(out.at - start) & 7;
  out.ensure(padding);
  for (let i = 0; i < padding; i++) out.bytes[out.at++] = 0;
  out.view.setUint16(start, out.at - start, true);
  out.view.setUint16(start + 2, mask, true);
}

/** @throws {ProtocolError} if the fields do not fill their block. */
export function readMeta(reader: ByteReader): CallMeta {
  const start = reader.at;
  const length = reader.u16();
  const mask = reader.u16();
  const end = start + length;
  if (length < 4 || end > reader.end) throw new ProtocolError("The fields of a call are cut short.");
  const meta: CallMeta = { ...noMeta };
  if (mask & MetaField.REQUEST_ID) meta.requestId = readText(reader);
  if (mask & MetaField.ROUTE) meta.route = readText(reader);
  if (mask & MetaField.MODEL_ID) meta.multiplexedModelId = readText(reader);
  if (mask & MetaField.DEADLINE) {
    meta.remainingMs = reader.f64();
    meta.timeoutMs = reader.f64();
    // Not a number would be neither over nor ahead, and confuse every other deadline of the process.
    if (!(meta.remainingMs >= 0 && meta.timeoutMs >= 0))
      throw new ProtocolError("The deadline of a call is not a length of time.");
  }
  if (mask & MetaField.PRIORITY) {
    meta.priority = reader.f64();
    if (!Number.isFinite(meta.priority)) throw new ProtocolError("The priority of a call is not a number.");
  }
  if (mask & MetaField.SENT) {
    meta.sentMs = reader.f64();
    if (!Number.isFinite(meta.sentMs)) throw new ProtocolError("The time at which a call was sent is not a number.");
  }
  if (mask & MetaField.TRACE) meta.traceparent = readText(reader);
  if (mask & MetaField.CLIENT) meta.clientAddress = readText(reader);
  if (mask & MetaField.BY_VALUE) meta.byReference = false;
  if (reader.at > end) throw new ProtocolError("The fields of a call are longer than they say.");
  // Fields that a newer peer added stand behind those known here.
  reader.at = end;
  return meta;
}

function writeText(out: ByteWriter, text: string): void {
  const lengthAt = out.at;
  out.ensure(2);
  out.at += 2;
  out.utf8(text);
  const length = out.at - lengthAt - 2;
  if (length > 0xffff) {
    throw new SerializationError(
      `A name that goes with the call takes ${length} bytes; the limit is 65,535. Use a shorter model id.`,
      { path: "multiplexedModelId" },
    );
  }
  out.view.setUint16(lengthAt, length, true);
}

function readText(reader: ByteReader): string {
  return reader.utf8(reader.u16());
}
