import type { AdminRoute } from "./route.ts";

const ERROR = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["name", "message"],
      properties: {
        name: { type: "string" },
        message: { type: "string" },
        path: { type: "string", description: "Of a wrong configuration: where." },
        problems: {
          type: "array",
          items: {
            type: "object",
            required: ["path", "message"],
            properties: { path: { type: "string" }, message: { type: "string" } },
          },
        },
      },
    },
  },
};

/** The description of the interface that programs read (OpenAPI 3.1), made from the routes that are served. */
export function openapi(routes: readonly AdminRoute[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const { method, path, summary, body } = route;
    paths[path] ??= {};
    paths[path][method.toLowerCase()] = {
      summary,
      ...parametersOf(route),
      ...(body === undefined
        ? {}
        : {
            requestBody: {
              required: true,
              content: { "application/json": { schema: body }, "application/yaml": { schema: body } },
            },
          }),
      responses: {
        ...Object.fromEntries(Object.entries(route.answers).map(([status, description]) => [status, { description }])),
        default: {
          description: "It failed.",
          content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
        },
      },
    };
  }
  return {
    openapi: "3.1.0",
    info: { title: "heliostat", version },
    paths,
    components: {
      schemas: { Error: ERROR },
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
    // Either none or the token: it depends on how the instance was started.
    security: [{}, { token: [] }],
  };
}

function parametersOf({ path, query = {} }: AdminRoute): object {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const inQuery = Object.entries(query).map(([name, description]) => ({
    name,
    in: "query",
    description,
    schema: { type: "string" },
  }));
  const parameters = [...inPath, ...inQuery];
  return parameters.length === 0 ? {} : { parameters };
}
