import type { EncodedBody } from "../core/contracts/replica-client.ts";
import { SerializationError } from "../core/errors.ts";
import type { Call, CallTemplate } from "../core/handle/call.ts";
import { metaMask, writeMeta } from "./call-frame.ts";
import { exchangeFlags, exchangeFormat } from "./exchange-format.ts";
import { BULK_BYTES, CallFlag, FrameType, HEADER_BYTES, MetaField } from "./frames.ts";
import type { Lane } from "./lane.ts";
import type { ArgsFormat, Lender } from "./lender.ts";
import type { WireContext } from "./wire-context.ts";

export interface CallWriterOptions {
  readonly sharesClock: boolean;
  /** Where large arguments may be left. @default nowhere */
  readonly lender?: Lender | undefined;
  /** Gives the lane for a frame that turns out to be large. */
  bulkLane(): Lane;
}

/** What is the same for all calls of one template on one lane: most callers make the same call over and over. */
interface Plan {
  readonly template: CallTemplate;
  readonly lane: Lane;
  readonly spinUs: number;
  readonly type: number;
  readonly method: number;
  readonly flags: number;
  readonly format: ArgsFormat;
}

/** Writes the CALL frames of one connection, and names methods to its lanes before their first use there. */
export class CallWriter {
  readonly #context: WireContext;
  readonly #sharesClock: boolean;
  readonly #bulkLane: () => Lane;
  readonly #lender: Lender | undefined;
  readonly #methods = new Map<string, number>();
  /** The same for each `spinUs`: what the replica is asked for goes with the number, and costs a call nothing. */
  readonly #spinning = new Map<number, Map<string, number>>();
  #announced = 0;
  /** What the replica is asked to spin after the calls that are written from now on, in whole microseconds. */
  spinUs = 0;
  /** Where the last frame was written. */
  lane: Lane | undefined = undefined;
  #busy = false;
  #plan: Plan | undefined = undefined;

  constructor(context: WireContext, options: CallWriterOptions) {
    this.#context = context;
    this.#sharesClock = options.sharesClock;
    this.#bulkLane = options.bulkLane;
    this.#lender = options.lender;
  }

  /** A frame is being written: a getter among its arguments has made a call, which must wait until it is done. */
  get busy(): boolean {
    return this.#busy;
  }

  /**
   * Writes a call's frame and returns where in its lane's stream it begins.
   *
   * @param expectedBytes about how large the arguments are, if that is known.
   * @throws {SerializationError} if an argument cannot travel; nothing was written.
   */
  write(lane: Lane, call: Call, id: number, expectedBytes = 0): number {
    const { template, body } = call;
    const lender = this.#lender;
    const isByValue = lender !== undefined && !template.byReference;
    let mask = metaMask(call, this.#sharesClock);
    if (isByValue) mask |= MetaField.BY_VALUE;
    let plan = this.#plan;
    if (plan === undefined || plan.template !== template || plan.lane !== lane || plan.spinUs !== this.spinUs)
      plan = this.#plan = this.#planFor(lane, template);
    const { type, method, format } = plan;
    const flags = plan.flags | (mask === 0 ? 0 : CallFlag.META) | (body === undefined ? 0 : CallFlag.KEPT);
    const { writer } = lane;
    const { out } = writer;
    const start = writer.begin(type, flags, method, id, expectedBytes);
    this.#busy = true;
    try {
      out.f64(call.sequence);
      if (mask !== 0) writeMeta(out, mask, call, call.deadlineMs === Infinity ? 0 : this.#context.clock.now());
      if (isByValue) out.sink = undefined;
      if (body === undefined) format.encodeArgs(call.args!, out);
      else if (lender !== undefined) lender.append(out, body, format);
      else out.append(body.bytes, body.start, body.end);
      this.#checkSize(out.at - start - HEADER_BYTES);
    } catch (error) {
      out.at = start;
      lender?.abort();
      throw error;
    } finally {
      if (isByValue) out.sink = lender;
      this.#busy = false;
    }
    if (lender !== undefined && lender.taken.length > 0) lender.commit();
    if (out.at - start - HEADER_BYTES > BULK_BYTES) {
      const bulk = this.#bulkLane();
      if (bulk !== lane) {
        if (type === FrameType.CALL) this.#announce(bulk, template.method);
        const moved = writer.moveTo(bulk.writer, start);
        return this.#end(bulk, moved, false);
      }
    }
    // Each exchange comes of what a client has sent on a connection of its own.
    return this.#end(lane, start, type === FrameType.EXCHANGE);
  }

  #planFor(lane: Lane, template: CallTemplate): Plan {
    const { formats } = this.#context;
    if (template.exchange !== undefined) {
      const flags = exchangeFlags(template.exchange);
      return {
        template,
        lane,
        spinUs: this.spinUs,
        type: FrameType.EXCHANGE,
        method: 0,
        flags,
        format: exchangeFormat,
      };
    }
    const format = formats.byName(template.requestSerialization);
    const flags =
      (template.stream ? CallFlag.STREAM : 0) |
      (template.broadcast ? CallFlag.BROADCAST : 0) |
      (format.number << 4) |
      (formats.byName(template.responseSerialization).number << 6);
    return {
      template,
      lane,
      spinUs: this.spinUs,
      type: FrameType.CALL,
      method: this.#announce(lane, template.method),
      flags,
      format,
    };
  }

  #end(lane: Lane, start: number, gathers: boolean): number {
    this.lane = lane;
    const position = lane.writer.positionOf(start);
    lane.writer.end(start, gathers);
    return position;
  }

  #announce(lane: Lane, method: string): number {
    const { spinUs } = this;
    const numbers = spinUs === 0 ? this.#methods : this.#numbersFor(spinUs);
    let number = numbers.get(method);
    if (number === undefined) {
      number = this.#announced;
      if (number > 0xffff)
        throw new SerializationError("More than 65,536 different methods were called on one replica.", {
          path: "methodName",
        });
      numbers.set(method, number);
      this.#announced++;
    }
    if (lane.methods[number] === undefined) {
      lane.methods[number] = method;
      const start = lane.writer.begin(FrameType.METHOD, 0, number, spinUs);
      lane.writer.out.utf8(method);
      lane.writer.end(start);
    }
    return number;
  }

  #numbersFor(spinUs: number): Map<string, number> {
    let numbers = this.#spinning.get(spinUs);
    if (numbers === undefined) this.#spinning.set(spinUs, (numbers = new Map()));
    return numbers;
  }

  #checkSize(bytes: number): void {
    const { maxFrameBytes } = this.#context.limits;
    if (bytes <= maxFrameBytes) return;
    throw new SerializationError(
      `The arguments take ${bytes} bytes; the limit is ${maxFrameBytes}. Send less at a time, or stream it.`,
      { path: "args" },
    );
  }
}

/** The arguments of a CALL frame that has not left yet, in memory of their own. */
export function argumentsOf(bytes: Uint8Array, frameAt: number): EncodedBody {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const end = frameAt + HEADER_BYTES + view.getUint32(frameAt, true);
  let start = frameAt + HEADER_BYTES + 8;
  if (view.getUint8(frameAt + 5) & CallFlag.META) start += view.getUint16(start, true);
  const copy = bytes.slice(start, end);
  return { bytes: copy, start: 0, end: copy.byteLength };
}
