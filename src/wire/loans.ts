import type { Clock } from "../core/contracts/clock.ts";
import { Borrower } from "./borrower.ts";
import type { ByteReader } from "./codec/reader.ts";
import type { ByteWriter } from "./codec/writer.ts";
import { FrameType } from "./frames.ts";
import { Lender } from "./lender.ts";
import type { Limits } from "./limits.ts";
import type { Sharing } from "./sharing.ts";
import type { SlabWriter } from "./slab-writer.ts";

/** Sends a frame that belongs to no call. */
export type SendFrame = (type: number, write: (out: ByteWriter) => void) => void;

export interface LoansOptions {
  readonly sharing: Sharing;
  readonly clock: Clock;
  readonly limits: Limits;
  /** Where this side writes frames that belong to no call. */
  writer(): SlabWriter;
}

/** The memory that the two sides of one connection lend each other, as one of them sees it. */
export class Loans {
  readonly lender: Lender;
  readonly borrower: Borrower;

  constructor({ sharing, clock, limits, writer }: LoansOptions) {
    const send: SendFrame = (type, write) => {
      const to = writer();
      const start = to.begin(type, 0, 0, 0);
      write(to.out);
      to.end(start);
    };
    this.lender = new Lender({ sharing, clock, send });
    this.borrower = new Borrower({ sharing, clock, maxMessageBytes: limits.maxMessageBytes, send });
  }

  /** A frame of the other side's. @throws {ProtocolError} if it makes no sense. */
  onFrame(type: number, reader: ByteReader): void {
    if (type === FrameType.LEND) this.borrower.onLend(reader.copy());
    else if (type === FrameType.BORROW) this.lender.onBorrow();
    else this.lender.onReturn(reader);
  }

  /** The connection has ended. */
  close(): void {
    this.lender.close();
    this.borrower.close();
  }
}
