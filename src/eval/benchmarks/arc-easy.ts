// ARC-Easy: the questions that retrieval or word co-occurrence can answer (Clark et al. 2018).

import { arc } from "./arc.ts";

export const arcEasy = arc("ARC-Easy", "ARC-Easy");
