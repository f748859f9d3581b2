// The TypeScript snippets of docs/api.md by the headings above them.

import { readFileSync } from "node:fs";
import path from "node:path";
import { packageRoot } from "../../src/util/package-root.ts";

const page = readFileSync(path.join(packageRoot(), "docs", "api.md"), "utf8");

export const snippets: ReadonlyMap<string, string> = new Map(
  [...page.matchAll(/^## (.+)\n(?:(?!^## )[\s\S])*?^```ts\n([\s\S]*?)^```$/gm)].map(([, title, code]) => [
    title!,
    code!,
  ]),
);
