/** Origins of web pages: scheme, host and port. */

/** As browsers write it in `Origin`: https://example.com, no path and no usual port. [RFC 6454] */
export function isOrigin(text: string): boolean {
  return /^https?:[^*]+$/.test(text) && URL.parse(text)?.origin === text;
}
