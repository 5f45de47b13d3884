import { describeBehaviours } from "./behaviours/index.ts";

describeBehaviours("processes");
