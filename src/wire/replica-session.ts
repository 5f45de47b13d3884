import { ProtocolError, SerializationError } from "../core/errors.ts";
import type { Peer } from "../core/replica/peer.ts";
import type { Replica } from "../core/replica/replica.ts";
import { Header } from "./codec/tags.ts";
import { decodeThrown } from "./codec/thrown.ts";
import { ByteReader } from "./codec/reader.ts";
import type { FrameHeader } from "./frame-reader.ts";
import { CALL_INDEX_MASK, CancelFlag, FrameType, saturate16 } from "./frames.ts";
import { IncomingHttp } from "./incoming-http.ts";
import { IncomingRequest } from "./incoming-request.ts";
import { Lane, type LaneOwner } from "./lane.ts";
import { Loans } from "./loans.ts";
import { RequestSpin } from "./request-spin.ts";
import type { Transport } from "./transport.ts";
import type { WireContext } from "./wire-context.ts";

export interface ReplicaSessionOptions {
  readonly context: WireContext;
  readonly replica: Replica;
  /** The calling process, in hex. */
  readonly peerId: string;
  onClosed(): void;
}

/** The replica's side of its connection to one calling process: calls in, outcomes out. */
export class ReplicaSession implements Peer, LaneOwner {
  readonly context: WireContext;
  readonly loans: Loans | undefined;
  ongoing = 0;
  waiting = false;
  readonly #replica: Replica;
  readonly #options: ReplicaSessionOptions;
  readonly #calls: (IncomingRequest | undefined)[] = [];
  readonly #reader = new ByteReader(new Uint8Array(0), 0, 0);
  #spin: RequestSpin | undefined = undefined;
  #small: Lane | undefined = undefined;
  #bulk: Lane | undefined = undefined;
  #joined = false;
  #closed = false;

  constructor(options: ReplicaSessionOptions) {
    this.#options = options;
    this.context = options.context;
    this.#replica = options.replica;
    const { sharing, clock, limits } = options.context;
    this.loans = sharing && new Loans({ sharing, clock, limits, writer: () => this.lane().writer });
    this.#reader.source = this.loans?.borrower;
  }

  /** Takes over a connection of this caller's. */
  attach(transport: Transport, isBulk: boolean): Lane {
    const lane = new Lane(transport, this.context.limits, this);
    lane.writer.out.sink = this.loans?.lender;
    if (isBulk) this.#bulk = lane;
    else this.#small = lane;
    if (!this.#joined) {
      this.#joined = true;
      this.#replica.join(this);
    }
    return lane;
  }

  /** The lane for a reply. */
  lane(large = false): Lane {
    return (large ? this.#bulk : this.#small) ?? this.#small ?? this.#bulk!;
  }

  /** The same id as at the caller, which does not send it. */
  requestIdOf(sequence: number): string {
    return `${this.#options.peerId.slice(0, 12)}-${sequence.toString(36)}`;
  }

  calls(): readonly IncomingRequest[] {
    return this.#calls.filter((call) => call !== undefined);
  }

  free(othersOngoing: number): void {
    if (!this.#closed) this.lane().writer.bare(FrameType.FREE, 0, saturate16(othersOngoing), 0);
  }

  drain(): void {
    if (!this.#closed) this.lane().writer.bare(FrameType.DRAIN, 0, 0, 0);
  }

  forget(request: IncomingRequest): void {
    const index = request.id & CALL_INDEX_MASK;
    if (this.#calls[index] === request) this.#calls[index] = undefined;
  }

  checkSize(bytes: number, path: string): void {
    const { maxFrameBytes } = this.context.limits;
    if (bytes <= maxFrameBytes) return;
    throw new SerializationError(
      `The ${path} takes ${bytes} bytes; the limit is ${maxFrameBytes}. Return less at a time, or stream it.`,
      { path },
    );
  }

  close(): void {
    this.#small?.close();
    this.#bulk?.close();
  }

  onFrame(lane: Lane, header: FrameHeader, bytes: Uint8Array, start: number, end: number): void {
    // The other lane has ended: the caller counts its calls as lost, and hears no answer.
    if (this.#closed) return;
    const reader = this.#reader;
    reader.reset(bytes, start, end, header.owned);
    switch (header.type) {
      case FrameType.CALL:
        this.#call(lane, header, reader);
        return;
      case FrameType.EXCHANGE:
        this.#exchange(header, reader);
        return;
      case FrameType.PART: {
        const request = this.#find(header.id);
        if (request === undefined) return;
        if (!(request instanceof IncomingHttp)) throw new ProtocolError("A caller sent a part of a plain call.");
        request.receive(header.flags, reader);
        return;
      }
      case FrameType.GOODBYE:
        lane.farewell = reader.utf8(end - start);
        return;
      case FrameType.METHOD:
        lane.methods[header.aux] = reader.utf8(end - start);
        lane.spinUs[header.aux] = header.id;
        return;
      case FrameType.CANCEL: {
        const request = this.#find(header.id);
        if (request !== undefined)
          request.cancelled(header.flags & CancelFlag.REASON ? this.#reason(reader) : undefined);
        return;
      }
      case FrameType.CREDIT: {
        const granted = reader.u32();
        this.#find(header.id)?.credit(header.aux, granted);
        return;
      }
      case FrameType.LEND:
      case FrameType.BORROW:
      case FrameType.RETURN:
        this.loans?.onFrame(header.type, reader);
        return;
      default:
        throw new ProtocolError(`A frame of type ${header.type} arrived, which a caller does not send.`);
    }
  }

  onFrameOver(): void {
    this.#reader.reset(EMPTY, 0, 0);
  }

  onLaneClosed(_lane: Lane, error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    if (error instanceof ProtocolError)
      this.context.log?.warn(
        `The connection of caller ${this.#options.peerId.slice(0, 12)} was ended: ${error.message}`,
        {
          openRequests: this.calls().length,
        },
      );
    this.#spin?.stop();
    this.#small?.transport.close();
    this.#bulk?.transport.close();
    const calls = this.calls();
    this.#calls.length = 0;
    this.loans?.close();
    for (const call of calls) call.orphaned();
    this.#replica.leave(this);
    this.#options.onClosed();
  }

  #call(lane: Lane, header: FrameHeader, reader: ByteReader): void {
    const method = lane.methods[header.aux];
    if (method === undefined)
      throw new ProtocolError(`A call names method ${header.aux}, which was not announced on its lane.`);
    const spinUs = lane.spinUs[header.aux]!;
    if (spinUs > 0) this.#spinFor(spinUs);
    const index = this.#freeIndex(header.id);
    const request = new IncomingRequest(this, method, { header, reader });
    this.#calls[index] = request;
    const mayRefer = this.loans !== undefined && ((reader.bytes[reader.at] ?? 0) & Header.SHARED) !== 0;
    this.#replica.accept(request);
    if (!mayRefer) return;
    request.discardArgs();
    this.loans!.borrower.check();
  }

  #spinFor(us: number): void {
    const { clock, poller } = this.context;
    if (poller !== undefined) (this.#spin ??= new RequestSpin(clock, poller)).called(us);
  }

  #exchange(header: FrameHeader, reader: ByteReader): void {
    const index = this.#freeIndex(header.id);
    const exchange = new IncomingHttp(this, { header, reader });
    this.#calls[index] = exchange;
    this.#replica.acceptExchange(exchange);
  }

  /** A reason that cannot be read is none: the call ends all the same. */
  #reason(reader: ByteReader): unknown {
    try {
      return decodeThrown(reader, this.context.formats);
    } catch {
      return undefined;
    }
  }

  /** Where a new call of this id goes. */
  #freeIndex(id: number): number {
    const { maxConcurrentCalls } = this.context.limits;
    const index = id & CALL_INDEX_MASK;
    if (this.#calls[index] !== undefined) throw new ProtocolError(`A call has the id ${id}, whose place is in use.`);
    if (index >= maxConcurrentCalls)
      throw new ProtocolError(`More than ${maxConcurrentCalls} calls are open on one connection.`);
    return index;
  }

  #find(id: number): IncomingRequest | undefined {
    const request = this.#calls[id & CALL_INDEX_MASK];
    return request?.id === id ? request : undefined;
  }
}

const EMPTY = new Uint8Array(0);
