// LiquidJS on the same template and contacts: node liquidjs.cjs MODULES MAIL.json SECONDS OUT. Prints renderings a second of one core, by
// the CPU time of the process: as strings, and made into the bytes that a mail is.
const fs = require("fs");
const [modules, mail, seconds, out] = process.argv.slice(2);
const { Liquid } = require(modules + "/liquidjs");

const json = JSON.parse(fs.readFileSync(mail, "utf8"));
const engine = new Liquid({ outputEscape: "escape" });
const compiled = engine.parse(json.template);
const buffer = Buffer.alloc(1 << 20);

fs.writeFileSync(out, json.contacts.slice(0, 50).map((contact) => engine.renderSync(compiled, contact)).join(""));

function measure(asBytes) {
  let renders = 0;
  let size = 0;
  const begun = process.cpuUsage();
  for (;;) {
    for (const contact of json.contacts) {
      const text = engine.renderSync(compiled, contact);
      size += asBytes ? buffer.write(text) : text.length;
    }
    renders += json.contacts.length;
    const used = process.cpuUsage(begun);
    const spent = (used.user + used.system) / 1e6;
    if (spent >= Number(seconds)) return { perSecond: renders / spent, size: Math.round(size / renders) };
  }
}

measure(true); // warm
const bytes = measure(true);
const strings = measure(false);
console.log(JSON.stringify({ renders_per_second: bytes.perSecond, string_renders_per_second: strings.perSecond, bytes: bytes.size }));
