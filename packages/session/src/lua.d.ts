/** A script is imported as its text. */
declare module "*.lua" {
  const source: string;
  // biome-ignore lint/style/noDefaultExport: this is how a text import hands over its text
  export default source;
}
