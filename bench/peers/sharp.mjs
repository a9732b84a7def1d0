// sharp, fitted to 800 x 800 at quality 30, one thread, one picture at a time.
//   node sharp.mjs FOLDER REPEATS mozjpeg|baseline [OUT_FOLDER]
// "mozjpeg" is its documented way to small files (progressive scans); "baseline" names the options
// that the preset "catalog" has: trellis, deringing, optimised coding, one scan.
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import sharp from "sharp";

const [folder, repeats, mode, out] = process.argv.slice(2);
const encoder =
  mode === "mozjpeg"
    ? { quality: 30, mozjpeg: true }
    : { quality: 30, trellisQuantisation: true, overshootDeringing: true, quantisationTable: 3 };
sharp.concurrency(1);
sharp.cache(false);

const files = fs.readdirSync(folder).filter((name) => name.endsWith(".jpg")).sort().map((name) => [name, fs.readFileSync(path.join(folder, name))]);

const compressed = (data) =>
  sharp(data)
    .rotate()
    .resize({ width: 800, height: 800, fit: "inside", withoutEnlargement: true })
    .flatten({ background: "#ffffff" })
    .jpeg(encoder)
    .toBuffer();

for (const [name, data] of files) {
  const rendition = await compressed(data);
  if (out) fs.writeFileSync(path.join(out, name), rendition);
}
console.log("ready");
await new Promise((go) => readline.createInterface({ input: process.stdin }).once("line", go));

const started = process.hrtime.bigint();
const before = process.cpuUsage();
let size = 0;
for (let round = 0; round < Number(repeats); round++)
  for (const [, data] of files) size += (await compressed(data)).length;
const used = process.cpuUsage(before);
console.log(
  JSON.stringify({
    images: Number(repeats) * files.length,
    seconds: Number(process.hrtime.bigint() - started) / 1e9,
    cpu_seconds: (used.user + used.system) / 1e6,
    bytes_out: size,
    peak_mb: process.resourceUsage().maxRSS / 1000,
  }),
);
process.exit(0);
