import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Readable output under stable names, one chunk per folder: two branches that touch
// different folders then merge, and a reader of the wheel can follow the code.
export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: here("../static"),
    emptyOutDir: true,
    target: "es2022",
    minify: false,
    cssMinify: false,
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      input: { phones: here("src/phones/main.tsx") },
      output: {
        minifyInternalExports: false,
        entryFileNames: "js/[name].js",
        chunkFileNames: "js/[name].js",
        assetFileNames: (asset) =>
          asset.names[0]?.endsWith(".woff2") ? "fonts/bengali-wght[extname]" : "app[extname]",
        codeSplitting: {
          groups: [
            { name: "vendor", test: /node_modules/ },
            { name: "words", test: /hub\/i18n\// },
            { name: "core", test: /src\/core\// },
            { name: "kit", test: /src\/kit\// },
          ],
        },
      },
    },
  },
  test: { include: ["test/**/*.test.ts"], environment: "node" },
});
