// Writes src/wire/types.ts from src/wire/schema.json; with --check it only says whether the two agree.
import { readFile, writeFile } from "node:fs/promises";
import { compile } from "json-schema-to-typescript";

const SCHEMA = new URL("../src/wire/schema.json", import.meta.url);
const TYPES = new URL("../src/wire/types.ts", import.meta.url);

const generated = await compile(JSON.parse(await readFile(SCHEMA, "utf8")), "Wire", {
  additionalProperties: false,
  ignoreMinAndMaxItems: true,
  bannerComment: "// Generated from schema.json by `npm run types`; do not edit.",
  style: { printWidth: 120 },
});

if (!process.argv.includes("--check")) {
  await writeFile(TYPES, generated);
} else if (generated !== (await readFile(TYPES, "utf8").catch(() => ""))) {
  console.error("src/wire/types.ts differs from src/wire/schema.json: run `npm run types`.");
  process.exit(1);
}
