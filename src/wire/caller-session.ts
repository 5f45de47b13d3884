import type { EncodedBody, Part, ReplicaClient, ReplicaClientListener } from "../core/contracts/replica-client.ts";
import { ProtocolError, SerializationError } from "../core/errors.ts";
import { type Call, CallState } from "../core/handle/call.ts";
import { settleWithError } from "../core/handle/settle.ts";
import { ExchangeCall } from "../core/http/exchange-call.ts";
import { encodeAlone } from "./body-pages.ts";
import { CallTable } from "./call-table.ts";
import { argumentsOf, CallWriter } from "./call-writer.ts";
import { decodeThrown, encodeThrown } from "./codec/thrown.ts";
import { ByteReader } from "./codec/reader.ts";
import { writeClose } from "./exchange-format.ts";
import type { FrameHeader } from "./frame-reader.ts";
import { BULK_BYTES, CancelFlag, ErrorFlag, FrameType, Lane as LaneNumber, RefuseFlag, ReplyFlag } from "./frames.ts";
import { Lane, type LaneOwner } from "./lane.ts";
import { roughBytesOfAll } from "./looks-large.ts";
import { partFlags, readReply } from "./outgoing-exchange.ts";
import { Loans } from "./loans.ts";
import { writePreamble } from "./preamble.ts";
import { ReplySpin } from "./reply-spin.ts";
import { StreamOrder } from "./stream-order.ts";
import type { Transport } from "./transport.ts";
import type { WireContext } from "./wire-context.ts";

export interface CallerSessionOptions {
  readonly context: WireContext;
  /** Opens a connection to the replica; the first at once, a second when something large is to travel. */
  open(): Transport;
  readonly listener: ReplicaClientListener;
  /** Both processes read the same clock, as on one machine: then time on the way counts towards deadlines. @default false */
  readonly sharesClock?: boolean;
}

/** The caller's side of a connection to one replica: calls out, outcomes in. */
export class CallerSession implements ReplicaClient, LaneOwner {
  static #connections = 0;
  readonly #context: WireContext;
  readonly #options: CallerSessionOptions;
  readonly #listener: ReplicaClientListener;
  readonly #calls = new CallTable();
  readonly #order = new StreamOrder();
  readonly #writer: CallWriter;
  readonly #loans: Loans | undefined;
  #deferred: Call[] = [];
  readonly #reader = new ByteReader(new Uint8Array(0), 0, 0);
  readonly #connection: number = CallerSession.#connections++ & 0xff;
  /** There is one from the first call with `spinUs` on. */
  #spin: ReplySpin | undefined = undefined;
  readonly #small: Lane;
  #bulk: Lane | undefined = undefined;
  #closed = false;
  #closing = false;

  constructor(options: CallerSessionOptions) {
    this.#options = options;
    this.#context = options.context;
    this.#listener = options.listener;
    const { sharing, clock, limits } = options.context;
    this.#loans = sharing && new Loans({ sharing, clock, limits, writer: () => this.#small.writer });
    this.#reader.source = this.#loans?.borrower;
    this.#writer = new CallWriter(options.context, {
      sharesClock: options.sharesClock ?? false,
      lender: this.#loans?.lender,
      bulkLane: () => this.#bulkLane(),
    });
    this.#small = this.#openLane(LaneNumber.SMALL);
  }

  /** Calls without an answer. */
  get ongoing(): number {
    return this.#calls.size;
  }

  send(call: Call): boolean {
    if (this.#closed || this.#closing) return false;
    if (this.#writer.busy) {
      this.#defer(call);
      return true;
    }
    const { body } = call;
    const rough = body === undefined ? this.#inlineBytes(call) : body.end - body.start;
    // What follows the head of an exchange may be long, and travels behind it.
    const lane = rough > BULK_BYTES || call.template.exchange === "parts" ? this.#bulkLane() : this.#small;
    try {
      if (call.template.spinUs > 0) this.#writeSpinning(lane, call, rough);
      else this.#write(lane, call, rough);
    } finally {
      if (this.#deferred.length > 0) this.#sendDeferred();
    }
    return true;
  }

  cancel(call: Call, reason: unknown): void {
    if (this.#calls.get(call.wireId) !== call) return;
    if (this.#writer.busy) {
      this.#context.clock.nextTurn(() => this.cancel(call, reason));
      return;
    }
    // On the lane of the call itself, so that it cannot come first.
    const { writer } = this.#laneOf(call);
    const start = writer.begin(FrameType.CANCEL, reason === undefined ? 0 : CancelFlag.REASON, 0, call.wireId);
    if (reason !== undefined) encodeThrown(reason, writer.out, this.#context.formats);
    writer.end(start);
  }

  grant(call: Call, items: number, bytes: number): void {
    if (this.#calls.get(call.wireId) !== call) return;
    if (this.#writer.busy) {
      this.#context.clock.nextTurn(() => this.grant(call, items, bytes));
      return;
    }
    const { writer } = this.#laneOf(call);
    const start = writer.begin(FrameType.CREDIT, 0, items, call.wireId);
    writer.out.u32(bytes);
    writer.end(start);
  }

  part(call: Call, part: Part): number {
    if (this.#calls.get(call.wireId) !== call) return 0;
    if (this.#writer.busy) return -1;
    const { writer } = this.#laneOf(call);
    const start = writer.begin(FrameType.PART, partFlags(part), 0, call.wireId);
    const { out } = writer;
    const bodyAt = out.at;
    if ("close" in part) {
      if (part.close !== undefined) writeClose(out, part.close);
    } else if (typeof part.data === "string") out.utf8(part.data);
    else out.append(part.data);
    const bytes = out.at - bodyAt;
    const { maxFrameBytes } = this.#context.limits;
    if (bytes > maxFrameBytes) {
      out.at = start;
      throw new SerializationError(`A message takes ${bytes} bytes; the limit is ${maxFrameBytes}.`, {
        path: "message",
      });
    }
    writer.end(start);
    return bytes;
  }

  close(): void {
    if (this.#closing || this.#closed) return;
    if (this.#writer.busy) {
      this.#context.clock.nextTurn(() => this.close());
      return;
    }
    this.#closing = true;
    this.#small.close();
    this.#bulk?.close();
  }

  onFrame(lane: Lane, header: FrameHeader, bytes: Uint8Array, start: number, end: number): void {
    const { id, aux, flags } = header;
    // The other lane has ended: whoever made the calls has been told that they are lost.
    if (this.#closed) return;
    const reader = this.#reader;
    reader.reset(bytes, start, end, header.owned);
    switch (header.type) {
      case FrameType.RESULT: {
        const call = this.#calls.get(id);
        if (call === undefined) return this.#unread(reader, flags);
        let value: unknown;
        let failure: { readonly error: unknown } | undefined;
        try {
          // A call that was cancelled still holds its slot until now, but nobody wants its value.
          value =
            call.state === CallState.SETTLED ? this.#unread(reader, flags) : this.#value(reader, flags, call, true);
        } catch (error) {
          failure = this.#unreadable(call, "result", error);
        }
        this.#finish(id, call, aux);
        if (failure !== undefined) settleWithError(call, failure.error);
        else if (call.state !== CallState.SETTLED) {
          call.state = CallState.SETTLED;
          call.resolve(value);
        }
        if (lane === this.#small && end - start > BULK_BYTES) this.#bulkLane();
        return;
      }
      case FrameType.ITEM: {
        const call = this.#calls.get(id);
        if (call === undefined) return this.#unread(reader, flags);
        this.#spin?.answered(id);
        if (call.state === CallState.SETTLED) {
          this.#unread(reader, flags);
          this.#order.drop(call);
          return;
        }
        try {
          const item = this.#value(reader, flags, call, false);
          this.#order.item(call, aux, item, end - start + (this.#loans?.borrower.borrowedBytes() ?? 0));
        } catch (error) {
          this.#giveUp(call, this.#unreadable(call, "item", error).error);
        }
        if (lane === this.#small && end - start > BULK_BYTES) this.#bulkLane();
        return;
      }
      case FrameType.END:
      case FrameType.ERROR: {
        const call = this.#calls.get(id);
        if (call === undefined) return;
        const isEnd = header.type === FrameType.END;
        const items = isEnd || flags & ErrorFlag.STREAM ? reader.f64() : 0;
        const error = isEnd ? undefined : this.#thrown(reader, call);
        this.#order.end(call, items, () => {
          this.#finish(id, call, aux);
          if (!isEnd) settleWithError(call, error);
          else if (call.state !== CallState.SETTLED) {
            call.state = CallState.SETTLED;
            call.resolve(undefined);
          }
        });
        return;
      }
      case FrameType.REFUSE: {
        const call = this.#calls.get(id);
        if (call === undefined) return;
        // The arguments come back as they were when the call was made; the caller's own may have changed since.
        if (call.body === undefined) this.#takeBack(call, reader);
        this.#calls.remove(id);
        this.#spin?.answered(id);
        this.#listener.onRefused(call, flags & RefuseFlag.DRAINING ? "draining" : "full", aux);
        return;
      }
      case FrameType.ROOM: {
        const call = this.#calls.get(id);
        if (call === undefined) return;
        if (!(call instanceof ExchangeCall)) throw new ProtocolError("A replica gave room for parts of a plain call.");
        call.room(reader.u32());
        return;
      }
      case FrameType.FREE:
        this.#listener.onFree(aux);
        return;
      case FrameType.GOODBYE:
        lane.farewell = reader.utf8(end - start);
        return;
      case FrameType.DRAIN:
        this.#listener.onDraining();
        return;
      case FrameType.LEND:
      case FrameType.BORROW:
      case FrameType.RETURN:
        this.#loans?.onFrame(header.type, reader);
        return;
      default:
        throw new ProtocolError(`A frame of type ${header.type} arrived, which a replica does not send.`);
    }
  }

  onFrameOver(): void {
    this.#reader.reset(EMPTY, 0, 0);
  }

  onLaneClosed(_lane: Lane, error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#order.clear();
    this.#spin?.stop();
    const lost = this.#calls.drain().map(({ call, position, bulk }) => {
      const { writer } = bulk ? this.#bulk! : this.#small;
      const written = writer.handedBytes > position;
      if (written) call.body?.leave?.(call);
      else if (call.body === undefined) {
        const { bytes, at } = writer.waitingAt(position);
        const body = argumentsOf(bytes, at);
        this.#takeBack(call, new ByteReader(body.bytes, body.start, body.end));
      }
      return { call, written };
    });
    this.#loans?.close();
    this.#small.transport.close();
    this.#bulk?.transport.close();
    if (this.#closing && lost.length === 0) return;
    this.#listener.onLost(error ?? new Error("The connection was closed."), lost);
  }

  #finish(id: number, call: Call, othersOngoing: number): void {
    this.#calls.remove(id);
    call.body?.leave?.(call);
    this.#spin?.answered(id);
    this.#listener.onFinished(call, othersOngoing);
  }

  /** About how large the arguments will be in their frame. */
  #inlineBytes({ args, template }: Call): number {
    const bytes = roughBytesOfAll(args!);
    return this.#loans === undefined || !template.byReference ? bytes : this.#loans.lender.inlineBytes(bytes);
  }

  /** The arguments of a call that was not run, as they were when it was made. */
  #takeBack(call: Call, reader: ByteReader): void {
    const loans = call.template.exchange === undefined ? this.#loans : undefined;
    const body = loans?.lender.reclaim(call, reader, this.#context.formats.byName(call.template.requestSerialization));
    if (call.state === CallState.SETTLED) body?.leave?.(call);
    else call.body = body ?? copyOf(reader);
  }

  /** A value that nobody wants: memory that it refers to goes back. */
  #unread(reader: ByteReader, flags: number): undefined {
    if (this.#loans === undefined || flags & ReplyFlag.EXCHANGE) return;
    try {
      this.#loans.borrower.discard(reader, this.#context.formats.byNumber((flags >> 4) & 3), false);
    } catch {
      // What cannot be read refers to nothing that could be found. It is nobody's answer, so nobody fails.
    }
  }

  /**
   * What a call gets whose answer cannot be read: an error of its own, for its neighbours on the connection have done
   * nothing.
   *
   * @throws {ProtocolError} if the answer refers to memory that the replica did not lend: that breaks the connection.
   */
  #unreadable(call: Call, what: "result" | "item", cause: unknown): { readonly error: unknown } {
    this.#loans?.borrower.check();
    const { deployment, method, exchange } = call.template;
    if (exchange !== undefined) return { error: cause };
    const text = cause instanceof Error ? cause.message : String(cause);
    return {
      error: new SerializationError(`An answer of ${deployment}.${method} cannot be read here: ${text}`, {
        path: what,
        cause,
      }),
    };
  }

  #thrown(reader: ByteReader, call: Call): unknown {
    try {
      return decodeThrown(reader, this.#context.formats);
    } catch (error) {
      return this.#unreadable(call, "result", error).error;
    }
  }

  /** Fails a call whose replica goes on with it, and tells the replica to stop. */
  #giveUp(call: Call, error: unknown): void {
    if (settleWithError(call, error)) this.cancel(call, undefined);
    this.#order.drop(call);
  }

  #write(lane: Lane, call: Call, rough: number): void {
    const position = this.#writer.write(lane, call, this.#calls.nextId(), rough);
    this.#calls.add(call, position, this.#writer.lane === this.#bulk);
  }

  #writeSpinning(lane: Lane, call: Call, rough: number): void {
    const { clock, poller } = this.#context;
    if (poller === undefined) {
      this.#write(lane, call, rough);
      return;
    }
    const { spinUs } = call.template;
    this.#spin ??= new ReplySpin(clock, poller);
    this.#writer.spinUs = this.#spin.sending(spinUs) ? Math.min(Math.ceil(spinUs), 0xffff_ffff) : 0;
    try {
      this.#write(lane, call, rough);
    } finally {
      this.#writer.spinUs = 0;
    }
    this.#spin.sent(call.wireId);
  }

  #value(reader: ByteReader, flags: number, call: Call, isWhole: boolean): unknown {
    if (flags & ReplyFlag.EXCHANGE) {
      if (!isWhole && !reader.owned) this.#small.transport.memory.streamed(reader.end - reader.at);
      return readReply(reader, flags, call, isWhole);
    }
    return reader.at === reader.end ? undefined : this.#context.formats.byNumber((flags >> 4) & 3).decode(reader);
  }

  #laneOf(call: Call): Lane {
    return this.#calls.isBulk(call.wireId) ? this.#bulk! : this.#small;
  }

  #bulkLane(): Lane {
    return (this.#bulk ??= this.#openLane(LaneNumber.BULK));
  }

  #openLane(number: number): Lane {
    const { peerId, token, limits } = this.#context;
    const transport = this.#options.open();
    const lane = new Lane(transport, limits, this);
    lane.writer.out.sink = this.#loans?.lender;
    writePreamble(lane, { peerId, token, connection: this.#connection, lane: number });
    transport.start(lane);
    return lane;
  }

  /** A getter among the arguments of one call has made another: it is encoded now, as every call is, and written next. */
  #defer(call: Call): void {
    call.body ??= encodeAlone(call, this.#context.formats);
    this.#deferred.push(call);
  }

  #sendDeferred(): void {
    const calls = this.#deferred;
    this.#deferred = [];
    for (const call of calls) {
      if (!this.send(call)) this.#listener.onLost(new Error("The connection was closed."), [{ call, written: false }]);
    }
  }
}

const EMPTY = new Uint8Array(0);

function copyOf(reader: ByteReader): EncodedBody {
  const bytes = reader.copy();
  return { bytes, start: 0, end: bytes.byteLength };
}
