import { expect, test } from "vitest";
import { applicationStatus, nextStatus } from "./status.ts";

test("a deploy ends healthy or failed, and a failure stays until the next deploy", () => {
  expect(nextStatus("UPDATING", "settled")).toBe("HEALTHY");
  expect(nextStatus("UPDATING", "gave-up")).toBe("DEPLOY_FAILED");
  expect(nextStatus("DEPLOY_FAILED", "settled")).toBe("DEPLOY_FAILED");
  expect(nextStatus("DEPLOY_FAILED", "lost")).toBe("DEPLOY_FAILED");
  expect(nextStatus("DEPLOY_FAILED", "deploy")).toBe("UPDATING");
});

test("a lost replica makes a healthy deployment unhealthy until it is replaced", () => {
  expect(nextStatus("HEALTHY", "lost")).toBe("UNHEALTHY");
  expect(nextStatus("UNHEALTHY", "settled")).toBe("HEALTHY");
  expect(nextStatus("UPDATING", "lost")).toBe("UPDATING");
});

test("a change of the number only is scaling", () => {
  expect(nextStatus("HEALTHY", "upscale")).toBe("UPSCALING");
  expect(nextStatus("UPSCALING", "downscale")).toBe("DOWNSCALING");
  expect(nextStatus("DOWNSCALING", "settled")).toBe("HEALTHY");
});

test("the worst deployment decides for the application", () => {
  expect(applicationStatus("running", ["HEALTHY", "UPSCALING"])).toBe("RUNNING");
  expect(applicationStatus("running", ["UNHEALTHY", "UPDATING"])).toBe("UNHEALTHY");
  expect(applicationStatus("deploying", ["HEALTHY", "DEPLOY_FAILED", "UNHEALTHY"])).toBe("DEPLOY_FAILED");
  expect(applicationStatus("deploying", ["HEALTHY"])).toBe("DEPLOYING");
  expect(applicationStatus("deleting", ["DEPLOY_FAILED"])).toBe("DELETING");
  expect(applicationStatus("deleting", [])).toBe("DELETING");
});
