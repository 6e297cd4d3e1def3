import { expect, test } from "vitest";
import { notes } from "../../dev/incidents";

test("each heading can be linked to by the name of its rule", () => {
  expect(notes("## loop_blocked\n")).toBe('<h2 id="loop_blocked">loop_blocked</h2>\n');
  expect(notes("# Incident `notes`\n")).toBe('<h1 id="incident-notes-">Incident <code>notes</code></h1>\n');
});

test("what leads to another document is text", () => {
  expect(notes("[slow](slowness.md), [above](#slow), [RFC](https://www.rfc-editor.org)")).toBe(
    '<p>slow, <a href="#slow">above</a>, <a href="https://www.rfc-editor.org">RFC</a></p>\n',
  );
});
