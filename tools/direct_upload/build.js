// Bundles direct.js for browsers: node build.js [folder]. The licences and the hash go beside the bundle.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build } from "esbuild";

const folder = process.argv[2] ?? "../../django_minio_router/direct/static/django_minio_router";
mkdirSync(folder, { recursive: true });

const built = await build({
  entryPoints: ["direct.js"],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2020",
  charset: "utf8",
  legalComments: "none",
  define: { "process.env.NODE_ENV": '"production"' },
  metafile: true,
  write: false,
});
const bundle = built.outputFiles[0].contents;

const packages = new Set();
for (const path of Object.keys(built.metafile.inputs)) {
  const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path);
  if (found) packages.add(found[1]);
}
const licences = [...packages].sort().map((path) => {
  const { name, version, license } = JSON.parse(readFileSync(join(path, "package.json")));
  // A package of a monorepo may leave the text to its neighbours.
  const places = [path, dirname(path), join(path, "../core")].filter(existsSync);
  const files = places.flatMap((place) =>
    readdirSync(place).filter((file) => /^licen[cs]e/i.test(file)).map((file) => join(place, file)),
  );
  const text = files.length ? readFileSync(files[0], "utf8").trim() : `License: ${license}`;
  return `${name} ${version} (${license})\n\n${text.replace(/\r\n/g, "\n")}\n`;
});

writeFileSync(join(folder, "direct.js"), bundle);
writeFileSync(join(folder, "direct.js.licences.txt"), licences.join(`\n${"-".repeat(80)}\n\n`));
writeFileSync(
  join(folder, "direct.js.sha256"),
  `${createHash("sha256").update(bundle).digest("hex")}  direct.js\n`,
);
