// Numbers as people read them.
const grouped = new Intl.NumberFormat("en");
const NONE = "–";

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  const milliseconds = seconds * 1e3;
  if (Math.abs(milliseconds) < 9.995) return `${milliseconds.toFixed(2)} ms`;
  if (Math.abs(milliseconds) < 99.95) return `${milliseconds.toFixed(1)} ms`;
  if (Math.abs(milliseconds) < 999.5) return `${milliseconds.toFixed(0)} ms`;
  return seconds < 99.95 ? `${seconds.toFixed(2)} s` : `${grouped.format(Math.round(seconds))} s`;
}

export const count = (number) => (number === null || number === undefined ? NONE : grouped.format(number));

export function rate(number) {
  if (number === null || number === undefined) return NONE;
  return number >= 100 ? grouped.format(Math.round(number)) : number.toPrecision(number >= 10 ? 3 : 2).replace(/\.0+$/, "");
}

export function share(part, whole) {
  if (!whole) return NONE;
  const percent = (100 * part) / whole;
  return part && percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(percent < 10 ? 1 : 0)} %`;
}

export const clock = (at) => new Date(at * 1e3).toLocaleTimeString("en-GB");
export const moment = (at) => `${new Date(at * 1e3).toLocaleDateString("en-CA")} ${clock(at)}`;
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

export const MEASURES = {
  first_token: "First token",
  between_tokens: "Between tokens",
  per_token: "Time per output token",
  duration: "Whole answer",
  queue: "Queue of the server",
};

// A figure of a measure, marked where it comes from a histogram.
export const figure = (row, name) => (row ? (row.from === "calls" ? "" : "≈ ") + duration(row[name]) : NONE);

export function origin(row) {
  if (!row) return "nothing says it";
  if (row.from === "calls") return `exact, of ${plural(row.count, "value")}`;
  const off = row.within ? `, off by less than ${(100 * row.within).toFixed(1)} %` : ", somewhere in its bucket";
  return `${row.from} ${row.metric}, ${plural(row.count, "value")}${off}`;
}
