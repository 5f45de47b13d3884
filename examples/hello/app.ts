import { deployment, serve, type DeploymentHandle } from "heliostat";

class Downstream {
  sayHi(message: string) {
    return `Hello ${message}!`;
  }
}

class Ingress {
  readonly #downstream: DeploymentHandle<Downstream>;
  constructor(downstream: DeploymentHandle<Downstream>) {
    this.#downstream = downstream;
  }
  async call(name: string) {
    return await this.#downstream.sayHi.remote(name);
  }
}

const app = deployment(Ingress).bind(deployment(Downstream).bind());
const handle = await serve.run(app);
console.log(await handle.remote("world").result()); // Hello world!
await serve.shutdown();
