import { readFileSync } from "node:fs";
import { Marked } from "marked";
import type { Plugin } from "vite";

const SOURCE = new URL("../../docs/incidents.md", import.meta.url).pathname;

/** The text of a heading as a link's target: the names of rules stay as they are. */
const anchor = (text: string) => text.toLowerCase().replaceAll(/[^\w]+/g, "-");

/** Notes as HTML: headings can be linked to, and what leads to other documents is text, for they are not there. */
export function notes(markdown: string): string {
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }) {
        return `<h${depth} id="${anchor(text)}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      link({ href, tokens }) {
        const text = this.parser.parseInline(tokens);
        return /^(#|https?:)/.test(href) ? `<a href="${href}">${text}</a>` : text;
      },
    },
  });
  return marked.parse(markdown, { async: false });
}

/** Builds the incident notes that the hub shows, from those of the documentation. */
export function shipIncidents(): Plugin {
  return {
    name: "ship-incidents",
    apply: "build",
    buildStart() {
      this.addWatchFile(SOURCE);
    },
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "incidents.html", source: notes(readFileSync(SOURCE, "utf8")) });
    },
  };
}
