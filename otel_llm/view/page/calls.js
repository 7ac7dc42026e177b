// Lists: calls, and the kinds of failure.
import { html, replace, table } from "./element.js";
import { count, duration, moment, plural } from "./words.js";

const SORTS = { newest: "newest first", slowest: "slowest answers first", first_token: "slowest first tokens first", failed: "failed ones" };

const opened = (row, text) => html("a", { href: `#trace/${row.call}`, "data-key": `call ${row.call}` }, text);
const model = (row) => [row.model || "–", html("span", { class: "small" }, [row.operation, row.service, `seen by the ${row.seen_by}`].filter(Boolean).join(" · "))];

export function calls(main, data, state) {
  const choose = html("label", {}, "Order ", html("select", { "data-key": "sort", onchange: (event) => state.set({ sort: event.target.value, error: null }) },
    Object.entries(SORTS).map(([name, words]) => html("option", { value: name, selected: name === state.sort }, words))));
  const columns = [
    ["sent", (row) => opened(row, moment(row.start))],
    ["model", model, "text"],
    ["first token", (row) => duration(row.first_token)],
    ["per token", (row) => duration(row.per_token)],
    ["whole answer", (row) => duration(row.duration)],
    ["output tokens", (row) => count(row.tokens)],
    ["ended", (row) => html("span", { class: row.error ? "failed" : null }, row.error || (row.cut_off ? "cut off" : "whole")), "text"],
  ];
  replace(main, html("section", {},
    html("div", { class: "head" }, html("h2", {}, state.error ? `Calls that failed with ${state.error}` : "Calls"), choose),
    data.count ? table("Calls", columns, data.calls) : html("p", {}, "No call came in this time."),
    data.count ? html("p", { class: "fine" }, data.count > data.calls.length ? `The first ${data.calls.length} of ${plural(data.count, "call")}.` : plural(data.count, "call")) : null));
}

export function errors(main, data, state) {
  const columns = [
    ["error", (row) => html("a", { href: "#calls", "data-key": `error ${row.error} ${row.model}`, class: "failed", onclick: () => state.set({ error: row.error }) }, row.error)],
    ["calls", (row) => count(row.count)],
    ["model", model, "text"],
    ["first", (row) => moment(row.first)],
    ["latest", (row) => opened(row, moment(row.last))],
    ["what was said last", (row) => row.words || "–", "text"],
  ];
  replace(main, html("section", {}, html("h2", {}, "Errors"),
    data.length ? table("Errors", columns, data) : html("p", {}, "No call failed in this time.")));
}
