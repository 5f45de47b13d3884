import { describeBehaviours } from "./behaviours/index.ts";

describeBehaviours("local");
