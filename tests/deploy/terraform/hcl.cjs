// Reads {name: text of HCL} from its input and writes {name: {found} or {wrong}}, by HashiCorp's own parser as WebAssembly.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");

const { parse } = createRequire(`${process.argv[2]}/`)("@cdktn/hcl2json");

async function main() {
  const said = {};
  for (const [name, text] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
    try {
      said[name] = { found: await parse(name, text) };
    } catch (error) {
      said[name] = { wrong: String(error.message ?? error) };
    }
  }
  process.stdout.write(JSON.stringify(said), () => process.exit(0)); // the parser's own loop never ends
}

main();
