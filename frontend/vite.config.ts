import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../hub/web/dist",
    emptyOutDir: true,
    manifest: "manifest.json",
    assetsDir: "",
    // light-dark() and nesting go out as written: every browser has had them since the middle of 2024.
    target: ["chrome123", "firefox121", "safari17.5"],
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: true,
    rollupOptions: { input: ["src/main.tsx", "src/login.css"] },
  },
  test: { include: ["tests/**/*.test.{ts,tsx}"] },
});
