import { type Call, CallState } from "../../src/core/handle/call.ts";
import type { Caller } from "../../src/core/handle/caller.ts";
import { Deadlines } from "../../src/core/handle/deadlines.ts";
import { settleWithError } from "../../src/core/handle/settle.ts";
import type { ExchangeCall } from "../../src/core/http/exchange-call.ts";
import type { OpenExchange } from "../../src/core/http/exchange.ts";
import { exchangeOpener } from "../../src/core/http/open-exchange.ts";
import type { Router } from "../../src/core/router/router.ts";
import { ExchangeRecorder, type RequestFields } from "../support/exchange-recorder.ts";
import type { TestCaller, Wire } from "./harness.ts";

/** Opens exchanges over the session of one test caller, with nothing between: a refusal is the test's to see. */
export class ExchangeCaller {
  readonly caller: TestCaller;
  readonly deadlines: Deadlines;
  /** In the order of their opening. */
  readonly calls: ExchangeCall[] = [];
  readonly #open: OpenExchange;

  constructor(wire: Wire, caller: TestCaller) {
    this.caller = caller;
    this.deadlines = new Deadlines(wire.clock);
    const { session } = caller;
    const router = {
      submit: (call: ExchangeCall) => {
        this.calls.push(call);
        this.send(call);
      },
      abandon: (call: Call, error: unknown) => {
        if (settleWithError(call, error)) session.cancel(call, error);
      },
      grant: (call: Call, items: number, bytes: number) => session.grant(call, items, bytes),
      part: (call: Call, part: Parameters<typeof session.part>[1]) => session.part(call, part),
    } as unknown as Router;
    this.#open = exchangeOpener({
      clock: wire.clock,
      deadlines: this.deadlines,
      nextSequence: () => 12_345,
      router: () => router,
    } as unknown as Caller);
  }

  open(fields: RequestFields = {}): ExchangeRecorder {
    return new ExchangeRecorder(this.#open, { url: "http://host/", ...fields });
  }

  /** Sends a call, also one that was refused by another replica. */
  send(call: ExchangeCall): void {
    call.state = CallState.SENT;
    try {
      if (!this.caller.session.send(call)) throw new Error("The session did not take the exchange.");
    } catch (error) {
      settleWithError(call, error);
    }
  }
}
