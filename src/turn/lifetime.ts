// How long an allocation is to live (RFC 8656 sections 7.2 and 8.2).

const defaultSeconds = 600;
const longestSeconds = 3600;

/** What LIFETIME asks for, within what we give. No less than the default: who wants less has to delete. */
export function desiredLifetime(requestedSeconds: number | undefined): number {
  return Math.max(defaultSeconds, Math.min(requestedSeconds ?? 0, longestSeconds));
}
