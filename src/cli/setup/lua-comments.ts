// Lua without what it does not mean.

/** A string, or a comment: of several lines, or to the end of one. */
const stringsAndComments = /"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'|--\[(=*)\[[\s\S]*?(?:\]\1\]|$)|--[^\n]*/g;

/** The same text with blanks in place of comments: everything else stands where it stood. */
export function withoutComments(lua: string): string {
  return lua.replace(stringsAndComments, (found) => (found.startsWith("--") ? found.replace(/[^\n]/g, " ") : found));
}
