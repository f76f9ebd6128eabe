// What was thrown, read: it may be anything.

/** What it says of itself. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The system's name for it, such as `EADDRINUSE`; undefined if it is no error of the system. */
export function systemCodeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined;
}
