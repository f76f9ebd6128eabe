#!/usr/bin/env node
// The command line.

import { sluice } from "./cli/sluice.ts";
import { startRelay } from "./relay.ts";

await sluice(process.argv, startRelay);
