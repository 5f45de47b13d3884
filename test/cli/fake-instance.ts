import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface Asked {
  readonly route: string;
  readonly body: unknown;
  readonly token: string | undefined;
}

type Reply = (asked: Asked) => { readonly status?: number; readonly body?: unknown } | "end";

/** Stands in for the REST interface of an instance: answers what a test says, and keeps what it was asked. */
export class FakeInstance implements AsyncDisposable {
  readonly asked: Asked[] = [];
  /** By method and path, such as `GET /api/v1/applications`. */
  readonly replies: Record<string, Reply> = {};
  readonly #server = createServer((request, response) => {
    void this.#answer(request).then(({ status = 200, body = {} }) => {
      response.writeHead(status, { "content-type": "application/json", connection: "close" });
      response.end(JSON.stringify(body));
    });
  });

  static async open(): Promise<FakeInstance> {
    const fake = new FakeInstance();
    await new Promise<void>((resolve) => fake.#server.listen(0, "127.0.0.1", resolve));
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  routes(): string[] {
    return this.asked.map(({ route }) => route);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage): Promise<{ status?: number; body?: unknown }> {
    const route = `${request.method} ${request.url}`;
    const sent = await text(request);
    const body: unknown = sent === "" ? undefined : JSON.parse(sent);
    const asked = { route, body, token: request.headers.authorization };
    this.asked.push(asked);
    const reply = this.replies[route]?.(asked) ?? { status: 404 };
    if (reply !== "end") return reply;
    // Listens no more, and answers this one.
    this.#server.close();
    return {};
  }
}

/** A status of one application with one deployment, as it travels. */
export function statusOf(name: string, status: string, { message = "", running = 1 } = {}): object {
  return {
    applications: {
      [name]: {
        name,
        source: "declarative",
        deployedConfig: {},
        status,
        message,
        routePrefix: "/",
        deployments: {
          Model: {
            status: status === "RUNNING" ? "HEALTHY" : "UPDATING",
            message: "",
            targetReplicas: 2,
            replicas: Array.from({ length: running }, (_, i) => ({
              replicaId: `Model#${i}`,
              state: "RUNNING",
              pid: 1,
              nodeId: "local",
              startedAt: "2026-01-01T00:00:00.000Z",
            })),
          },
        },
      },
    },
    proxies: [],
  };
}
