import type { RefusalReason } from "../core/contracts/replica-client.ts";
import { IncomingCall } from "../core/replica/incoming-call.ts";
import type { Peer } from "../core/replica/peer.ts";
import { type CallMeta, noMeta, readMeta } from "./call-frame.ts";
import { encodeThrown } from "./codec/thrown.ts";
import type { Format } from "./codec/format.ts";
import type { ByteReader } from "./codec/reader.ts";
import type { FrameHeader } from "./frame-reader.ts";
import { BULK_BYTES, CallFlag, ErrorFlag, FrameType, RefuseFlag, saturate16 } from "./frames.ts";
import { roughBytes } from "./looks-large.ts";
import type { ReplicaSession } from "./replica-session.ts";

/** The replica's side of one call on a connection. */
export class IncomingRequest extends IncomingCall {
  readonly id: number;
  readonly method: string;
  readonly deadlineMs: number;
  protected readonly session: ReplicaSession;
  protected readonly flags: number;
  readonly #sequence: number;
  readonly #meta: Readonly<CallMeta>;
  #reader: ByteReader | undefined;
  protected isOpen = true;
  /** Items that were sent. */
  protected items = 0;
  #creditItems: number;
  #creditBytes: number;

  /** @param frame a CALL; its body is read up to the arguments. */
  constructor(
    session: ReplicaSession,
    method: string,
    frame: { readonly header: FrameHeader; readonly reader: ByteReader },
  ) {
    super();
    const { header, reader } = frame;
    const { clock, limits } = session.context;
    this.session = session;
    this.id = header.id;
    this.method = method;
    this.flags = header.flags;
    this.#sequence = reader.f64();
    const meta = header.flags & CallFlag.META ? readMeta(reader) : noMeta;
    this.#meta = meta;
    this.deadlineMs = meta.remainingMs === Infinity ? Infinity : deadlineOf(meta, clock.now());
    this.#reader = reader;
    this.#creditItems = limits.streamWindowItems;
    this.#creditBytes = limits.streamWindowBytes;
  }

  get peer(): Peer {
    return this.session;
  }

  get stream(): boolean {
    return (this.flags & CallFlag.STREAM) !== 0;
  }

  get broadcast(): boolean {
    return (this.flags & CallFlag.BROADCAST) !== 0;
  }

  get requestId(): string {
    return this.#meta.requestId ?? this.session.requestIdOf(this.#sequence);
  }

  get route(): string {
    return this.#meta.route;
  }

  get traceparent(): string {
    return this.#meta.traceparent;
  }

  get clientAddress(): string | undefined {
    return this.#meta.clientAddress;
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
    return this.#format(4).decodeArgs(this.takeReader());
  }

  /** If nobody has read the arguments, nobody will. */
  discardArgs(): void {
    if (this.#reader !== undefined) this.session.loans!.borrower.discard(this.#reader, this.#format(4), true);
    this.#reader = undefined;
  }

  result(value: unknown, othersOngoing: number): void {
    if (!this.isOpen) return;
    this.#value(FrameType.RESULT, saturate16(othersOngoing), value, "result");
    this.close();
  }

  fail(error: unknown, othersOngoing: number): void {
    if (!this.isOpen) return;
    const { writer } = this.session.lane();
    const start = writer.begin(FrameType.ERROR, this.stream ? ErrorFlag.STREAM : 0, saturate16(othersOngoing), this.id);
    if (this.stream) writer.out.f64(this.items);
    encodeThrown(error, writer.out, this.session.context.formats);
    writer.end(start);
    this.close();
  }

  refuse(reason: RefusalReason, othersOngoing: number): void {
    if (!this.isOpen) return;
    const reader = this.#reader!;
    const returned = this.#isKept ? 0 : reader.end - reader.at;
    const { writer } = this.session.lane(returned > BULK_BYTES);
    const start = writer.begin(
      FrameType.REFUSE,
      reason === "draining" ? RefuseFlag.DRAINING : 0,
      saturate16(othersOngoing),
      this.id,
      returned,
    );
    // They go back to a caller that has not kept them: those it has now may have changed since it made the call.
    if (!this.#isKept) {
      writer.out.append(reader.bytes, reader.at, reader.end);
      this.#reader = undefined;
    }
    writer.end(start);
    this.close();
  }

  item(value: unknown): boolean {
    if (!this.isOpen) return true;
    const bytes = this.#value(FrameType.ITEM, this.items & 0xffff, value, "item");
    // The first item is what somebody waits for; the others come fast enough together.
    if (this.items++ === 0) this.session.lane().writer.flush();
    return this.spend(bytes);
  }

  end(othersOngoing: number): void {
    if (!this.isOpen) return;
    const { writer } = this.session.lane();
    const start = writer.begin(FrameType.END, 0, saturate16(othersOngoing), this.id);
    writer.out.f64(this.items);
    writer.end(start);
    this.close();
  }

  /** More may be sent. */
  credit(items: number, bytes: number): void {
    this.#creditItems += items;
    this.#creditBytes += bytes;
    if (this.#creditItems > 0 && this.#creditBytes > 0) this.onCredit?.();
  }

  /** The caller is gone: nothing is sent any more. */
  orphaned(): void {
    this.isOpen = false;
    this.cancelled(undefined);
  }

  /** What has come behind the fields, to be read at once. */
  protected takeReader(): ByteReader {
    const reader = this.#reader!;
    this.#reader = undefined;
    return reader;
  }

  /** Counts an item that was sent. @returns whether another may follow. */
  protected spend(bytes: number): boolean {
    this.#creditItems--;
    this.#creditBytes -= bytes;
    return this.#creditItems > 0 && this.#creditBytes > 0;
  }

  protected close(): void {
    this.isOpen = false;
    this.session.forget(this);
  }

  /** The caller has the arguments still, as they were. */
  get #isKept(): boolean {
    return (this.flags & CallFlag.KEPT) !== 0;
  }

  /** @param shift where its number is among the flags: 4 for the arguments, 6 for the reply. */
  #format(shift: 4 | 6): Format {
    return this.session.context.formats.byNumber((this.flags >> shift) & 3);
  }

  /** Writes a value where it travels best; returns its size. */
  #value(type: number, aux: number, value: unknown, root: "result" | "item"): number {
    const format = this.#format(6);
    const session = this.session;
    const lender = session.loans?.lender;
    const whole = roughBytes(value);
    const rough = lender === undefined || !this.#meta.byReference ? whole : lender.inlineBytes(whole);
    const lane = session.lane(rough > BULK_BYTES);
    const { writer } = lane;
    const { out } = writer;
    const start = writer.begin(type, format.number << 4, aux, this.id, rough);
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
}

/** A replica whose event loop was blocked reads late: where the clock is shared, that is no reason to give more time. */
function deadlineOf({ remainingMs, sentMs }: Readonly<CallMeta>, nowMs: number): number {
  return (sentMs === undefined ? nowMs : Math.min(sentMs, nowMs)) + remainingMs;
}
