import { execFileSync } from "node:child_process";
import { copyFileSync, readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const path = (relative: string) => new URL(relative, import.meta.url).pathname;
const OUT = path("../hub/web/dist/client/");
const FILES = ["hubsocket.d.ts", "hubsocket.js", "hubsocket.js.map"];
/** The library stays below this many bytes, gzipped; the build fails where it does not. */
const LIMIT = 4096;

/** Adds the types, prints what the library costs a page, and refuses too much. */
function shipClient(): Plugin {
  return {
    name: "ship-client",
    closeBundle() {
      execFileSync(process.execPath, [path("node_modules/typescript/bin/tsc"), "-p", path("client")], {
        stdio: "inherit",
      });
      copyFileSync(path("node_modules/.tmp/client/hubsocket.d.ts"), `${OUT}hubsocket.d.ts`);
      const size = gzipSync(readFileSync(`${OUT}hubsocket.js`), { level: 9 }).length;
      console.log(`hubsocket.js: ${size} bytes gzipped, of less than ${LIMIT}`);
      if (size >= LIMIT) throw new Error(`hubsocket.js: ${size} bytes gzipped are not below ${LIMIT}`);
      const files = readdirSync(OUT).sort();
      if (`${files}` !== `${FILES}`) throw new Error(`The library is one module, and not ${files}`);
    },
  };
}

export default defineConfig({
  plugins: [shipClient()],
  build: {
    outDir: OUT,
    emptyOutDir: true,
    copyPublicDir: false,
    sourcemap: true,
    // Private names and static blocks as written: Chrome 94, Firefox 93, Safari 16.4.
    target: "es2022",
    reportCompressedSize: false,
    lib: { entry: "client/hubsocket.ts", formats: ["es"], fileName: () => "hubsocket.js" },
    rollupOptions: { output: { minify: true } },
  },
});
