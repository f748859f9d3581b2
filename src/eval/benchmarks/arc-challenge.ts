// ARC-Challenge: the questions that retrieval and word co-occurrence both got wrong (Clark et al. 2018).

import { arc } from "./arc.ts";

export const arcChallenge = arc("ARC-Challenge", "ARC-Challenge");
