import { existsSync, readdirSync, rmSync } from "node:fs";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";
import { shipIncidents } from "./dev/incidents";

const OUT = new URL("../hub/web/dist/", import.meta.url).pathname;

/** Empties the directory as Vite would, but for the client library, which has a build of its own. */
function emptyPage(): Plugin {
  return {
    name: "empty-page",
    apply: "build",
    renderStart() {
      for (const name of existsSync(OUT) ? readdirSync(OUT) : [])
        if (name !== "client") rmSync(OUT + name, { recursive: true });
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [emptyPage(), shipIncidents()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: OUT,
    emptyOutDir: false,
    manifest: "manifest.json",
    assetsDir: "",
    // light-dark() and nesting go out as written: every browser has had them since the middle of 2024.
    target: ["chrome123", "firefox121", "safari17.5"],
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: true,
    rollupOptions: { input: ["src/main.tsx", "src/login.css", "src/incidents.css"] },
  },
  test: { include: ["tests/**/*.test.{ts,tsx}"] },
});
