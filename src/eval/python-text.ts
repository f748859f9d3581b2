// Python's string methods where JavaScript's differ: benchmarks' preprocessing is defined by Python code.

/** What `str.isspace` accepts: unlike JavaScript's \s it has U+001C..U+001F and U+0085, and lacks U+FEFF. */
const SPACE = "\\u0009-\\u000d\\u001c-\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const LEADING_SPACE = new RegExp(`^[${SPACE}]+`, "u");
const TRAILING_SPACE = new RegExp(`[${SPACE}]+$`, "u");

/** `str.strip()` */
export function strip(text: string): string {
  return trimEnd(text.replace(LEADING_SPACE, ""));
}

/** `str.rstrip()` */
export function trimEnd(text: string): string {
  return text.replace(TRAILING_SPACE, "");
}

/** `str.capitalize()`: the first character in title case, all others in lower case. */
export function capitalize(text: string): string {
  const [first = ""] = text;
  const [head = "", ...tail] = first.toUpperCase(); // "ß" becomes "SS", whose title case is "Ss"
  // The whole text is lowered at once, since a final sigma is known by what stands before it.
  return head + tail.join("").toLowerCase() + text.toLowerCase().slice(first.toLowerCase().length);
}

/** `len(str)`: code points, not UTF-16 units. */
export function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
