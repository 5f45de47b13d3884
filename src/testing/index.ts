export { everythingIsGone, type GoneOptions } from "./everything-is-gone.ts";
export {
  callsOf,
  FakeDeployment,
  fakeDeployment,
  fakeHandle,
  type FakeCall,
  type FakeDeploymentOptions,
} from "./fake-deployment.ts";
export type { FakeMethods } from "./fake-methods.ts";
export { LeftoversError } from "./leftovers-error.ts";
export { ManualClock } from "./manual-clock.ts";
export { settle } from "./settle.ts";
export { testCluster, type ReplicaChoice, type TestCluster, type TestClusterOptions } from "./test-cluster.ts";
