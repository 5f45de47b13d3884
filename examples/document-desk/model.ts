import { setImmediate as nextTurn } from "node:timers/promises";
import { serve } from "heliostat";
import { InferenceSession, Tensor } from "onnxruntime-node";

/** A model of one input and one output, both of 32-bit floats, loaded from an ONNX file. */
export class Model {
  readonly #session: InferenceSession;
  readonly #input: string;
  readonly #output: string;

  private constructor(session: InferenceSession, input: string, output: string) {
    this.#session = session;
    this.#input = input;
    this.#output = output;
  }

  /** One thread, because replicas are how this program uses more cores; threads of several models would only compete. */
  static async load(path: string): Promise<Model> {
    const session = await InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 });
    const [input, ...moreInputs] = session.inputNames;
    const [output, ...moreOutputs] = session.outputNames;
    if (input === undefined || output === undefined || moreInputs.length > 0 || moreOutputs.length > 0) {
      throw new Error(`${path} is not a model of one input and one output: give the path of another model.`);
    }
    return new Model(session, input, output);
  }

  /**
   * Computes for the request that is being served, unless nobody waits for it any more.
   *
   * Although it gives a promise, the runtime computes on the calling thread: nothing else runs there meanwhile, and nothing
   * breaks it off.
   */
  async run(values: Float32Array, shape: readonly number[]): Promise<Float32Array> {
    const { signal } = serve.getRequestContext();
    signal.throwIfAborted();
    const outputs = await this.#session.run({ [this.#input]: new Tensor("float32", values, shape) });
    // What this process was told meanwhile, it hears now.
    await nextTurn();
    signal.throwIfAborted();
    const result = outputs[this.#output]?.data;
    if (result instanceof Float32Array) return result;
    throw new Error(`The output "${this.#output}" holds no 32-bit floats: the file is not the model expected here.`);
  }

  /** Frees the memory that the model holds outside of JavaScript. */
  async release(): Promise<void> {
    await this.#session.release();
  }
}
