// How the console writes times, amounts and who is banned.

import type { Banned, Millis } from "../../contract.ts";

const units = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
] as const;

/** In the largest unit that there is one of, rounded down. */
export function durationText(millis: Millis): string {
  const seconds = Math.max(0, Math.floor(millis / 1000));
  const [size, unit] = units.find(([size]) => seconds >= size) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}

export function bytesText(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  const digits = power === 0 ? 0 : 1;
  return `${(bytes / 1000 ** power).toFixed(digits)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

export function bannedText(whom: Banned): string {
  return "user" in whom ? `user ${whom.user}` : `clients at ${whom.network}`;
}
