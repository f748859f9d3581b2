// The architectures by name. Every row of the paper's tables 1 and 2 is a config of `transformer`.

import type { ModelConfig } from "./config.ts";
import { Transformer } from "./transformer.ts";

export const architectures = {
  transformer: (config: ModelConfig) => new Transformer(config),
} as const;

export type ArchitectureName = keyof typeof architectures;
