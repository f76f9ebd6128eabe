// XEP-0106: what may not stand in the local part of an address, such as the address of somebody else.

/** `undefined` for what begins or ends with a space, which cannot be escaped (section 4.2). */
export function escapeLocalPart(text: string): string | undefined {
  if (text !== text.trim()) return undefined;
  // A backslash stands for itself, unless it would be read as the beginning of an escape.
  return text.replace(
    /\\(?=20|22|26|27|2f|3a|3c|3e|40|5c)|[ "&'/:<>@]/g,
    (character) => `\\${character.charCodeAt(0).toString(16)}`,
  );
}

export function unescapeLocalPart(local: string): string {
  return local.replace(/\\(20|22|26|27|2f|3a|3c|3e|40|5c)/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
}
