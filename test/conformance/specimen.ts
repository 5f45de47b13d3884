import { appendFileSync } from "node:fs";

export interface SpecimenOptions {
  /** Where it notes what happens to it. */
  readonly diary: string;
  readonly failsIn?: "construct" | "health";
}

/** What the engines of the conformance tests run: it does, and notes, what it is told. */
export class Specimen {
  readonly #options: SpecimenOptions;
  #config: unknown = "none";
  #ill = false;

  constructor(options: SpecimenOptions) {
    this.#options = options;
    if (options.failsIn === "construct") throw new TypeError("no weights", { cause: new Error("disk full") });
    this.#ill = options.failsIn === "health";
    this.#note("constructed");
  }

  reconfigure(config: unknown): void {
    if (config === "bad") throw new RangeError("a bad configuration");
    this.#config = config;
  }

  checkHealth(): void {
    if (this.#ill) throw new Error("feeling ill");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.resolve();
    this.#note("disposed");
  }

  echo(...args: unknown[]): unknown {
    return args;
  }

  config(): unknown {
    return this.#config;
  }

  env(name: string): string | undefined {
    return process.env[name];
  }

  catchIllness(): void {
    this.#ill = true;
  }

  async work(ms: number): Promise<string> {
    this.#note("began");
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.#note("worked");
    return "worked";
  }

  never(): Promise<never> {
    return new Promise(() => {});
  }

  spin(): never {
    for (;;);
  }

  exit(code: number): void {
    process.stderr.write("these are my last words\n");
    process.exit(code);
  }

  crash(): void {
    setImmediate(() => {
      throw new Error("nobody caught this");
    });
  }

  #note(what: string): void {
    appendFileSync(this.#options.diary, `${what}\n`);
  }
}
