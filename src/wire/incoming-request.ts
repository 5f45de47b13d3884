import type { RefusalReason } from "../core/contracts/replica-client.ts";
import type { IncomingCall, Peer } from "../core/replica/incoming-call.ts";
import type { CallMeta } from "./call-frame.ts";
import { encodeThrown } from "./codec/thrown.ts";
import type { Format } from "./codec/format.ts";
import type { ByteReader } from "./codec/reader.ts";
import { BULK_BYTES, ErrorFlag, FrameType, RefuseFlag, saturate16 } from "./frames.ts";
import { looksLarge } from "./looks-large.ts";
import type { ReplicaSession } from "./replica-session.ts";

export interface IncomingFields {
  readonly id: number;
  readonly method: string;
  readonly stream: boolean;
  readonly broadcast: boolean;
  /** The caller has the arguments still, as they were. */
  readonly kept: boolean;
  readonly sequence: number;
  readonly meta: Readonly<CallMeta>;
  readonly deadlineMs: number;
  readonly request: Format;
  readonly reply: Format;
  readonly reader: ByteReader;
}

/** The replica's side of one call on a connection. */
export class IncomingRequest implements IncomingCall {
  readonly peer: Peer;
  readonly id: number;
  readonly method: string;
  readonly stream: boolean;
  readonly broadcast: boolean;
  readonly deadlineMs: number;
  worker: { cancelled(reason: unknown): void } | undefined = undefined;
  onCredit: (() => void) | undefined = undefined;
  readonly #session: ReplicaSession;
  readonly #kept: boolean;
  readonly #sequence: number;
  readonly #meta: Readonly<CallMeta>;
  readonly #request: Format;
  readonly #reply: Format;
  #reader: ByteReader | undefined;
  #open = true;
  #items = 0;
  #creditItems: number;
  #creditBytes: number;

  constructor(session: ReplicaSession, fields: IncomingFields) {
    this.#session = session;
    this.peer = session;
    this.id = fields.id;
    this.method = fields.method;
    this.stream = fields.stream;
    this.broadcast = fields.broadcast;
    this.deadlineMs = fields.deadlineMs;
    this.#kept = fields.kept;
    this.#sequence = fields.sequence;
    this.#meta = fields.meta;
    this.#request = fields.request;
    this.#reply = fields.reply;
    this.#reader = fields.reader;
    const { limits } = session.context;
    this.#creditItems = limits.streamWindowItems;
    this.#creditBytes = limits.streamWindowBytes;
  }

  get requestId(): string {
    return this.#meta.requestId ?? this.#session.requestIdOf(this.#sequence);
  }

  get route(): string {
    return this.#meta.route;
  }

  get multiplexedModelId(): string {
    return this.#meta.multiplexedModelId;
  }

  get priority(): number {
    return this.#meta.priority;
  }

  get timeoutMs(): number {
    return this.#meta.timeoutMs;
  }

  args(): unknown[] {
    const reader = this.#reader!;
    this.#reader = undefined;
    return this.#request.decodeArgs(reader);
  }

  /** If nobody has read the arguments, nobody will. */
  discardArgs(): void {
    if (this.#reader !== undefined) this.#session.loans!.borrower.discard(this.#reader, this.#request, true);
    this.#reader = undefined;
  }

  result(value: unknown, othersOngoing: number): void {
    if (!this.#open) return;
    this.#value(FrameType.RESULT, saturate16(othersOngoing), value, "result");
    this.#close();
  }

  fail(error: unknown, othersOngoing: number): void {
    if (!this.#open) return;
    const { writer } = this.#session.lane();
    const start = writer.begin(FrameType.ERROR, this.stream ? ErrorFlag.STREAM : 0, saturate16(othersOngoing), this.id);
    if (this.stream) writer.out.f64(this.#items);
    encodeThrown(error, writer.out, this.#session.context.formats);
    writer.end(start);
    this.#close();
  }

  refuse(reason: RefusalReason, othersOngoing: number): void {
    if (!this.#open) return;
    const reader = this.#reader!;
    const { writer } = this.#session.lane(!this.#kept && reader.end - reader.at > BULK_BYTES);
    const start = writer.begin(
      FrameType.REFUSE,
      reason === "draining" ? RefuseFlag.DRAINING : 0,
      saturate16(othersOngoing),
      this.id,
    );
    // They go back to a caller that has not kept them: those it has now may have changed since it made the call.
    if (!this.#kept) {
      writer.out.append(reader.bytes, reader.at, reader.end);
      this.#reader = undefined;
    }
    writer.end(start);
    this.#close();
  }

  item(value: unknown): boolean {
    if (!this.#open) return true;
    const bytes = this.#value(FrameType.ITEM, this.#items & 0xffff, value, "item");
    // The first item is what somebody waits for; the others come fast enough together.
    if (this.#items++ === 0) this.#session.lane().writer.flush();
    this.#creditItems--;
    this.#creditBytes -= bytes;
    return this.#creditItems > 0 && this.#creditBytes > 0;
  }

  end(othersOngoing: number): void {
    if (!this.#open) return;
    const { writer } = this.#session.lane();
    const start = writer.begin(FrameType.END, 0, saturate16(othersOngoing), this.id);
    writer.out.f64(this.#items);
    writer.end(start);
    this.#close();
  }

  /** More may be sent. */
  credit(items: number, bytes: number): void {
    this.#creditItems += items;
    this.#creditBytes += bytes;
    if (this.#creditItems > 0 && this.#creditBytes > 0) this.onCredit?.();
  }

  /** The caller has cancelled, or is gone (`reason` undefined and nothing is sent any more). */
  cancelled(reason: unknown, gone: boolean): void {
    if (gone) this.#open = false;
    this.worker?.cancelled(reason);
  }

  /** Writes a value where it travels best; returns its size. */
  #value(type: number, aux: number, value: unknown, root: "result" | "item"): number {
    const format = this.#reply;
    const session = this.#session;
    const lender = session.loans?.lender;
    const lane = session.lane(looksLarge(value, BULK_BYTES));
    const { writer } = lane;
    const { out } = writer;
    const start = writer.begin(type, format.number << 4, aux, this.id);
    const bodyAt = out.at;
    // A call without a result is the commonest of all: it needs no body.
    if (value !== undefined || root === "item") {
      const isByValue = !this.#meta.byReference;
      if (isByValue) out.sink = undefined;
      try {
        format.encode(value, out, root);
        session.checkSize(out.at - bodyAt, root);
      } catch (error) {
        out.at = start;
        lender?.abort();
        throw error;
      } finally {
        if (isByValue) out.sink = lender;
      }
    }
    const lentBytes = lender !== undefined && lender.taken.length > 0 ? lender.commit() : 0;
    const bytes = out.at - bodyAt;
    const bulk = bytes > BULK_BYTES ? session.lane(true) : lane;
    if (bulk === lane) writer.end(start);
    else bulk.writer.end(writer.moveTo(bulk.writer, start));
    return bytes + lentBytes;
  }

  #close(): void {
    this.#open = false;
    this.#session.forget(this);
  }
}
