import { portablePlane } from "../../src/dataplane/portable.ts";
import { describePlane } from "./conformance.ts";

describePlane("the portable plane", portablePlane);
