// The DAG as text, Mermaid or DOT; by stage, or with every instance of a matrix.

import type { Pipeline, StageNode } from "./node.ts";
import { upstreamOf } from "./selection.ts";

export const drawingFormats = ["text", "mermaid", "dot"] as const;
export type DrawingFormat = (typeof drawingFormats)[number];

interface Box {
  readonly name: string;
  readonly label: string;
  readonly reads: readonly string[];
}

/** Without a trailing newline. `expand`: one box per instance instead of one per stage. */
export function drawPipeline(pipeline: Pipeline, format: DrawingFormat, expand: boolean): string {
  const boxes = expand ? instanceBoxes(pipeline) : stageBoxes(pipeline);
  if (format === "mermaid") return mermaid(boxes);
  if (format === "dot") return dot(boxes);
  return text(boxes);
}

function instanceBoxes(pipeline: Pipeline): Box[] {
  return pipeline.nodes.map((node) => ({ name: node.id, label: node.id, reads: upstreamOf(node) }));
}

function stageBoxes(pipeline: Pipeline): Box[] {
  const groups = new Map<string, StageNode[]>();
  for (const node of pipeline.nodes) groups.set(node.name, [...(groups.get(node.name) ?? []), node]);
  return [...groups].map(([name, nodes]) => {
    const reads = new Set(nodes.flatMap((node) => upstreamOf(node).map((id) => pipeline.byId.get(id)!.name)));
    return { name, label: nodes.length > 1 ? `${name} x ${nodes.length}` : name, reads: [...reads] };
  });
}

function text(boxes: readonly Box[]): string {
  const width = Math.max(...boxes.map((box) => box.label.length));
  const line = (box: Box) =>
    box.reads.length === 0 ? box.label : `${box.label.padEnd(width)}  <- ${box.reads.join(", ")}`;
  return boxes.map(line).join("\n");
}

function mermaid(boxes: readonly Box[]): string {
  const ids = new Map(boxes.map((box, index) => [box.name, `n${index}`]));
  const lines = boxes.map((box) => `  ${ids.get(box.name)}["${box.label}"]`);
  const arrows = boxes.flatMap((box) => box.reads.map((read) => `  ${ids.get(read)} --> ${ids.get(box.name)}`));
  return ["flowchart LR", ...lines, ...arrows].join("\n");
}

function dot(boxes: readonly Box[]): string {
  const quote = (name: string) => JSON.stringify(name);
  const lines = boxes.map((box) => `  ${quote(box.name)} [label=${quote(box.label)}];`);
  const arrows = boxes.flatMap((box) => box.reads.map((read) => `  ${quote(read)} -> ${quote(box.name)};`));
  return ["digraph pipeline {", "  rankdir=LR;", "  node [shape=box];", ...lines, ...arrows, "}"].join("\n");
}
