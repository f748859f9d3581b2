// `dag`: the graph as text, Mermaid or DOT.

import { type DrawingFormat, drawPipeline } from "../../pipeline/drawing.ts";
import { upstreamOf } from "../../pipeline/selection.ts";
import { type LabOptions, openLab } from "../lab.ts";
import { print, printJson } from "../output.ts";

export async function dag(options: LabOptions & { format: DrawingFormat; expand: boolean }): Promise<number> {
  const { pipeline } = await openLab(options);
  if (options.json) {
    const nodes = pipeline.nodes.map((node) => ({ id: node.id, stage: node.name, reads: upstreamOf(node) }));
    printJson({ profile: pipeline.profile, nodes });
  } else print(drawPipeline(pipeline, options.format, options.expand));
  return 0;
}
