export { deployment } from "./core/deployment/deployment.ts";
export { serve } from "./app/serve.ts";
export {
  BackPressureError,
  ConfigError,
  DeploymentFailedError,
  DeploymentUnavailableError,
  HeliostatError,
  ProtocolError,
  ReplicaDiedError,
  ReplicaUnavailableError,
  RequestCancelledError,
  RequestTimeoutError,
  SerializationError,
  StreamMismatchError,
  UnknownMethodError,
} from "./core/errors.ts";
