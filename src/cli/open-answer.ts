import { once } from "node:events";
import type { IncomingMessage } from "node:http";

export interface OpenAnswerOptions {
  readonly headers: Record<string, string>;
  /** Ends it, also when it has begun. */
  readonly signal: AbortSignal;
}

/** Asks for what comes bit by bit, however long nothing comes: `fetch` gives up after five minutes. */
export async function openAnswer(url: string, options: OpenAnswerOptions): Promise<IncomingMessage> {
  const { request } = url.startsWith("https:") ? await import("node:https") : await import("node:http");
  const asked = request(url, options).end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  // From now on whoever reads the answer hears of it.
  asked.on("error", () => {});
  return answer.setEncoding("utf8");
}
