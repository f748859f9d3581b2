// C and CUDA text with comments and layout taken out, so that re-indenting a kernel does not rerun a day of training.

/** In order: block comment, line comment, raw string, string, character, white space with a line break, other white space. */
const TOKEN =
  /\/\*[\s\S]*?\*\/|\/\/(?:\\\r?\n|[^\n])*|R"([^()\\\s]*)\([\s\S]*?\)\1"|"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'|\s*\n\s*|\s+/g;

/**
 * The text that decides what a native source means: comments are gone, runs of white space are one space, or one line
 * break where they hold one (preprocessor lines end there). Literals stay as they are.
 */
export function normaliseNativeSource(text: string): string {
  let out = "";
  let gap: "" | " " | "\n" = "";
  const write = (piece: string) => {
    if (piece === "") return;
    out += (out === "" ? "" : gap) + piece;
    gap = "";
  };
  let from = 0;
  for (const match of text.matchAll(TOKEN)) {
    write(text.slice(from, match.index));
    from = match.index + match[0].length;
    const blank = match[0].trim() === "" || match[0].startsWith("/*") || match[0].startsWith("//");
    if (!blank) write(match[0]);
    else if (gap !== "\n") gap = match[0].trim() === "" && match[0].includes("\n") ? "\n" : " ";
  }
  write(text.slice(from));
  return out;
}
