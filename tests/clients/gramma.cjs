// gramma (npm) as a client of /v2. Usage: node gramma.cjs URL TEXT; prints [[offset, length, phrase], …].
const { check } = require("gramma");
const [url, text] = process.argv.slice(2);
check(text, { api_url: url, language: "en-US" }).then(
  ({ matches }) => console.log(JSON.stringify(matches.map((m) => [m.offset, m.length, text.substr(m.offset, m.length)]))),
  (error) => {
    console.error(error);
    process.exit(2);
  },
);
