// The overview: what is slow, what fails, since when.
import { html, replace, table } from "./element.js";
import { course, heatmap } from "./charts.js";
import { clock, count, duration, figure, MEASURES, origin, plural, rate, share } from "./words.js";

export function overview(main, data, state) {
  const parts = data.total.requests || data.groups.length || data.engines.length ? shown(data, state) : [nothing(data.about)];
  replace(main, parts);
  draw(main, data);
}

function shown(data, state) {
  return [
    html("p", { class: "answer" }, answer(data, state)),
    cards(data),
    html("figure", { class: "chart", role: "group", "aria-labelledby": "latency" },
      html("div", { class: "head" }, html("h2", { id: "latency" }, `${MEASURES[state.measure]} over time`), measures(data, state)),
      html("div", { id: "heatmap" }),
      html("div", { id: "course" }),
      html("p", { class: "fine" }, "Below: calls that ended, in red those that failed. Solid line p50, dashed p99.")),
    groups(data, state),
    beside(data, state),
    engines(data),
    runs(data, state),
    data.dropped ? html("p", { class: "fine" }, `The latest calls are held; ${plural(data.dropped, "older one")} are not counted here any more.`) : null,
  ];
}

function draw(main, data) {
  const box = main.querySelector("#heatmap");
  if (!box) return;
  replace(box, data.heatmap ? heatmap(box, data.heatmap, "Latency over time") : html("p", { class: "fine" }, "Nothing says this measure yet."));
  const below = main.querySelector("#course");
  replace(below, course(below, data.course));
}

function answer({ total, groups, seen_by }, state) {
  const { first_token, duration: whole } = total.measures;
  const when = state.window ? `In the ${document.querySelector("#window").selectedOptions[0].text}` : "In all";
  const failed = total.failed ? `${plural(total.failed, "failed", "failed")} (${share(total.failed, total.requests)})` : "none failed";
  const named = first_token ? "first_token" : "duration";
  const main = first_token ?? whole;
  const words = [`${when} ${plural(total.requests, "call")}, ${failed}.`];
  if (main) words.push(`${MEASURES[named]}: half within ${figure(main, "p50")}, 99 % within ${figure(main, "p99")}.`);
  const mine = groups.filter((each) => each.seen_by === seen_by && each.measures[named]);
  const slowest = mine.reduce((worst, each) => (worst && worst.measures[named].p99 >= each.measures[named].p99 ? worst : each), null);
  if (mine.length > 1 && slowest) words.push(`Slowest is ${nameOf(slowest)}, with ${figure(slowest.measures[named], "p99")}.`);
  return words.join(" ");
}

const nameOf = (group) => group.model || group.service || "a model without a name";

function cards({ total, seen_by }) {
  const card = (label, value, note) => html("div", {}, html("dt", {}, label), html("dd", {}, value), note ? html("dd", { class: "note" }, note) : null);
  const measure = (name, label) => {
    const row = total.measures[name];
    return row ? card(`${label}, p99`, figure(row, "p99"), `p50 ${figure(row, "p50")}, ${row.from === "calls" ? "exact" : "from a histogram"}`) : null;
  };
  return html("dl", { class: "cards" },
    card("Calls", count(total.requests), `${rate(total.per_second)} a second${seen_by === "server" ? ", seen by the server" : ""}`),
    html("div", {}, html("dt", {}, "Failed"), html("dd", { class: total.failed ? "failed" : null }, count(total.failed)), html("dd", { class: "note" }, share(total.failed, total.requests))),
    measure("first_token", "First token"),
    measure("between_tokens", "Between tokens") ?? measure("per_token", "Per output token"),
    measure("duration", "Whole answer"),
    measure("queue", "Queue"),
    total.tokens_per_second ? card("Output tokens", rate(total.tokens_per_second), "a second") : null);
}

function measures(data, state) {
  const able = data.choices.measures.filter((name) => data.total.measures[name]);
  return html("label", {}, "Show ", html("select", { "data-key": "measure", id: "measure", onchange: (event) => state.set({ measure: event.target.value }) },
    able.map((name) => html("option", { value: name, selected: name === state.measure }, MEASURES[name]))));
}

function groups(data, state) {
  const both = (name) => ({ measures: { [name]: row } }) =>
    html("span", { title: origin(row) }, row ? `${figure(row, "p50")} · ${duration(row.p99)}` : "–");
  const wanted = ["first_token", "between_tokens", "duration", "queue"].filter((name) => data.groups.some((each) => each.measures[name]));
  const columns = [
    ["model", (row) => [
      html("a", { href: "#overview", "data-key": `model ${row.model}`, onclick: () => state.set({ model: row.model }) }, nameOf(row)),
      html("span", { class: "small" }, [row.operation, row.service, `seen by the ${row.seen_by}`, row.run ? `run ${runName(data, row.run)}` : ""].filter(Boolean).join(" · ")),
    ]],
    ["calls", (row) => count(row.requests)],
    ["a second", (row) => rate(row.per_second)],
    ["failed", (row) => html("span", { class: row.failed ? "failed" : null }, row.failed ? `${count(row.failed)} (${share(row.failed, row.requests)})` : "0")],
    ...wanted.map((name) => [MEASURES[name].toLowerCase(), both(name)]),
  ];
  return html("section", {}, html("h2", {}, "Models"), table("Models", columns, data.groups),
    html("p", { class: "fine" }, "Latencies are p50 · p99."));
}

const runName = (data, run) => data.runs[run]?.name ?? run.slice(0, 8);

function beside(data) {
  if (!data.beside.length) return null;
  const pair = (row, name) => (row ? `${duration(row.p50)} / ${duration(row.p99)}` : "–");
  const columns = [
    ["calls of", (row) => [row.run ? `run ${runName(data, row.run)}` : row.service || "a client", html("span", { class: "small" }, row.model)]],
    ["joined", (row) => count(row.joined)],
    ["whole answer: client", (row) => pair(row.client.duration)],
    ["server", (row) => pair(row.server.duration)],
    ["outside the server", (row) => pair(row.outside)],
    ["first token: client", (row) => pair(row.client.first_token)],
    ["server", (row) => pair(row.server.first_token)],
    ["in its queue", (row) => pair(row.server.queue)],
  ];
  return html("section", {}, html("h2", {}, "Client beside server"), table("Client beside server", columns, data.beside),
    html("p", { class: "fine" }, "p50 / p99 of the same calls, joined by their trace. What is outside the server is the network, proxies and the client itself."));
}

function engines(data) {
  if (!data.engines.length) return null;
  const said = (value) => count(value === undefined ? null : value);
  const columns = [
    ["engine", (row) => [row.engine || row.model || "an engine",
      html("span", { class: "small" }, [row.engine ? row.model : "", row.instance, row.rank ? `rank ${row.rank}` : "", row.role].filter(Boolean).join(" · "))]],
    ["running", (row) => said(row.running ?? row.in_flight)],
    ["waiting", (row) => said(row.waiting)],
    ["key-value cache", (row) => (row.kv_cache === undefined ? "–" : `${(row.kv_cache * 100).toFixed(0)} %`)],
    ["said at", (row) => clock(row.at)],
  ];
  return html("section", {}, html("h2", {}, "Engines"), table("Engines", columns, data.engines),
    html("p", { class: "fine" }, "What each engine said last of itself: requests it works on, requests that wait in it, and the share of its cache in use."));
}

function runs(data, state) {
  const able = data.choices.runs;
  if (!able.length) return null;
  const columns = [
    ["load run", (run) => html("a", { href: "#overview", "data-key": `run ${run}`, onclick: () => state.set({ run, window: 0 }) }, runName(data, run))],
    ["load", (run) => data.runs[run]?.mode ?? "–", "text"],
    ["calls", (run) => count(data.groups.filter((each) => each.run === run).reduce((sum, each) => sum + each.requests, 0))],
    ["was the client the limit?", (run) => ({ true: "yes", false: "no" })[data.runs[run]?.limited] ?? "not known yet", "text"],
  ];
  return html("section", {}, html("h2", {}, "Load runs"), table("Load runs", columns, able));
}

function nothing(about) {
  if (!about.live) return html("section", {}, html("h2", {}, "No call in this time"), html("p", {}, "Choose another time or model above."));
  return html("section", {}, html("h2", {}, "Nothing has come in this time"),
    html("p", {}, "Send it something:"),
    html("pre", {}, `OTEL_EXPORTER_OTLP_ENDPOINT=${about.grpc} otel-llm run app.py\notel-llm perf … --otlp-endpoint ${about.grpc}`),
    html("p", { class: "fine" }, "Any OpenTelemetry exporter will do: OTLP over gRPC or HTTP, gen_ai.* spans and metrics of whatever made them."));
}
