/** Writes our byte vectors anew, after a change that is meant: `npm run vectors`. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { agentVectors, text, VECTORS } from "./vectors";

writeFileSync(join(VECTORS, "agent.json"), text(agentVectors()));
