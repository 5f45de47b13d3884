import { expect, it } from "vitest";
import {
  BackPressureError,
  DeploymentUnavailableError,
  ReplicaUnavailableError,
  RequestTimeoutError,
} from "../core/errors.ts";
import { errorReply } from "./error-reply.ts";

const refused = new BackPressureError("Model is full.", { deployment: "Model", queued: 2, maxQueuedRequests: 2 });
const reply = (error: unknown, refusal?: { statusCode: number; retryAfterMs?: number }) =>
  errorReply(error, { requestId: "r1", refusalOf: (name) => (name === "Model" ? refusal : undefined) });

it("H7: each error has its status and says what may be said", () => {
  const late = new RequestTimeoutError("late", { timeoutMs: 1_500, stopped: true });
  expect(reply(late)).toMatchObject({ status: 408, text: "Request r1 timed out after 1.5s." });
  expect(reply(new DeploymentUnavailableError("gone")).status).toBe(503);
  expect(reply(new ReplicaUnavailableError("gone")).text).toContain("unavailable");
  for (const secret of [new Error("secret"), "secret", undefined]) {
    expect(reply(secret)).toMatchObject({ status: 500, text: "Internal Server Error. Request r1 failed." });
  }
});

it("H7: a refusal has the status of the deployment that refused, and Retry-After only if it is set", () => {
  expect(reply(refused)).toMatchObject({ status: 503, headers: [] });
  expect(reply(refused).text).toMatch(/^Request dropped due to backpressure/);
  expect(reply(refused, { statusCode: 429, retryAfterMs: 1_001 })).toMatchObject({
    status: 429,
    headers: [["Retry-After", "2"]],
  });
  expect(reply(refused, { statusCode: 503, retryAfterMs: 0 }).headers).toEqual([["Retry-After", "0"]]);
});
