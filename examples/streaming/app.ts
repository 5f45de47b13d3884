import { setTimeout as sleep } from "node:timers/promises";
import { deployment, serve, type DeploymentHandle } from "heliostat";

/** Stands for a language model: writes token after token, and would go on for ever. */
class Writer {
  #written = 0;
  #open = 0;

  async *write(words: string[]): AsyncGenerator<string> {
    this.#open += 1;
    try {
      for (let i = 0; ; i++) {
        this.#written += 1;
        yield words[i % words.length]!;
        await sleep(5);
      }
    } finally {
      // Runs also when the reader breaks off: the place for what a stream must give back.
      this.#open -= 1;
    }
  }

  progress(): { open: number; written: number } {
    return { open: this.#open, written: this.#written };
  }
}

/** The ingress: passes the stream on, token by token, in its own words. */
class Editor {
  readonly #writer: DeploymentHandle<Writer>;

  constructor(writer: DeploymentHandle<Writer>) {
    this.#writer = writer;
  }

  async *call(text: string): AsyncGenerator<string> {
    const tokens = this.#writer.options({ stream: true }).write.remote(text.split(" "));
    for await (const token of tokens) yield token.toUpperCase();
  }
}

const handle = await serve.run(deployment(Editor).bind(deployment(Writer).bind()));
const writer = serve.getDeploymentHandle<Writer>("Writer");

const heard: string[] = [];
for await (const token of handle.options({ stream: true }).remote("round and round it goes")) {
  heard.push(token);
  if (heard.length === 12) break; // The only thing a reader does to stop the work, two processes away.
}
console.log(`Read ${heard.length} tokens: ${heard.join(" ")}`);

const stopped = await untilStopped();
await sleep(100);
const later = await writer.progress.remote();
console.log(`The writer stopped after ${stopped.written} tokens.`);
console.log(`100 ms later: ${later.written - stopped.written} more tokens, ${later.open} open streams.`);
await serve.shutdown();

/** Breaking off is a message like any other: it takes a moment to arrive. */
async function untilStopped(): Promise<{ open: number; written: number }> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const progress = await writer.progress.remote();
    if (progress.open === 0) return progress;
    await sleep(10);
  }
  throw new Error("The writer went on for 2 s after its reader had left.");
}
