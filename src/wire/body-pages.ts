import type { BodyEncoder, EncodedBody } from "../core/contracts/replica-client.ts";
import type { Call, CallTemplate } from "../core/handle/call.ts";
import type { FormatTable } from "./codec/format.ts";
import { ByteWriter } from "./codec/writer.ts";
import { argsFormat } from "./exchange-format.ts";
import { argsOf, SharedBody } from "./shared-body.ts";
import { Shelf } from "./shelf.ts";
import type { Sharing } from "./sharing.ts";

const PAGE_BYTES = 65_536;
/** A body this large has a page to itself, so that it does not keep others alive. */
const LARGE_BYTES = 16_384;

/**
 * The encoded arguments of calls that wait: many to a page, which costs a few bytes each, where an array of its own
 * would cost hundreds. A page is free when its last call has gone.
 */
export class BodyPages implements BodyEncoder {
  readonly #formats: FormatTable;
  readonly #sharing: Sharing | undefined;
  #busy = false;
  #page: ByteWriter = new ByteWriter(new Uint8Array(0));

  /** @param sharing where large arguments may be left. @default nowhere */
  constructor(formats: FormatTable, sharing?: Sharing) {
    this.#formats = formats;
    this.#sharing = sharing;
  }

  encode(call: Call): EncodedBody {
    // A getter among the arguments of one call has made another.
    if (this.#busy) return encodeAlone(call, this.#formats);
    this.#busy = true;
    try {
      return this.#onPage(call);
    } finally {
      this.#busy = false;
    }
  }

  decode(template: CallTemplate, body: EncodedBody): unknown[] {
    return argsOf(body, argsFormat(template, this.#formats));
  }

  #onPage(call: Call): EncodedBody {
    if (PAGE_BYTES - this.#page.at < 1_024 || this.#page.bytes.length !== PAGE_BYTES)
      this.#page = new ByteWriter(new Uint8Array(PAGE_BYTES));
    const page = this.#page;
    // Aligned as the body of a frame is.
    const start = (page.at + 7) & ~7;
    page.at = start;
    const before = page.bytes;
    const shelf = this.#shelf(call.template);
    if (shelf !== undefined) page.sink = shelf;
    try {
      argsFormat(call.template, this.#formats).encodeArgs(call.args!, page);
    } catch (error) {
      page.at = start;
      shelf?.rewind(0);
      throw error;
    } finally {
      page.sink = undefined;
    }
    if (shelf !== undefined && shelf.regions.length > 0) {
      const body = { bytes: page.copy(start), start: 0, end: page.at - start };
      page.reset(before);
      page.at = start;
      return new SharedBody(body, shelf.regions, call);
    }
    const end = page.at;
    if (page.bytes !== before || end - start > LARGE_BYTES) {
      const bytes = page.bytes.slice(start, end);
      page.reset(before);
      page.at = start;
      return { bytes, start: 0, end: bytes.byteLength };
    }
    return { bytes: page.bytes, start, end };
  }

  /** Where large arguments go of which it is not known yet who gets them: somebody who can map them, going by the others. */
  #shelf({ byReference }: CallTemplate): Shelf | undefined {
    const sharing = this.#sharing;
    if (sharing === undefined || !byReference || sharing.borrowers === 0) return undefined;
    return sharing.memory && new Shelf(sharing.memory);
  }
}

/** Encodes a call's arguments in memory of their own. @throws {SerializationError} if one cannot travel. */
export function encodeAlone(call: Call, formats: FormatTable): EncodedBody {
  const out = new ByteWriter();
  argsFormat(call.template, formats).encodeArgs(call.args!, out);
  return { bytes: out.bytes, start: 0, end: out.at };
}
