import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** Each imports only from those before it. */
const LAYERS = ["format", "wire", "feed", "store", "charts", "views", "main"];
const SOURCES = new URL("../src/", import.meta.url);

const layerOf = (path: string) => LAYERS.indexOf(path.replace(/\.tsx?$/, "").split("/")[0] ?? "");

test("imports go one way", () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" }).filter((file) => /\.tsx?$/.test(file));
  const upward = files.flatMap((file) => {
    const imports = readFileSync(new URL(file, SOURCES), "utf8").matchAll(/from "(\.[^"]+)"/g);
    return [...imports]
      .map(([, target]) => new URL(target ?? "", new URL(file, SOURCES)).pathname.slice(SOURCES.pathname.length))
      .filter((target) => layerOf(target) > layerOf(file))
      .map((target) => `${file} -> ${target}`);
  });
  expect(files.length).toBeGreaterThan(20);
  expect(files.filter((file) => layerOf(file) < 0)).toEqual([]);
  expect(upward).toEqual([]);
});
