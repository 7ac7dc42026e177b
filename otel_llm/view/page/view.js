// Which page is shown and what of it, from the address and the filters; asks again every two seconds.
import { html } from "./element.js";
import { overview } from "./overview.js";
import { calls, errors } from "./calls.js";
import { trace } from "./trace.js";
import { clock } from "./words.js";

const EVERY_MS = 2000;
const main = document.querySelector("#main"), status = document.querySelector("#state");
const FILTERS = ["window", "model", "service", "run"];
const state = {
  window: 900, model: "", service: "", run: "", measure: "first_token", sort: "newest", error: null,
  set(change) { Object.assign(state, change); for (const name of FILTERS) offer(name, state[name]); refresh(); },
};
const PAGES = { overview, calls, errors, trace };
let paused = false, asking = null, latest = null, last = "", drawn = () => {};

function place() {
  const [page, name] = location.hash.slice(1).split("/");
  return { page: Object.hasOwn(PAGES, page) ? page : "overview", name: name ?? "" };
}

function address({ page, name }) {
  if (page === "trace") return `api/trace/${encodeURIComponent(name)}`;
  const asked = new URLSearchParams(FILTERS.map((each) => [each, state[each] || ""]));
  if (page === "overview") asked.set("measure", state.measure);
  if (page === "calls") { asked.set("sort", state.sort); if (state.error) asked.set("error", state.error); }
  return `api/${page}?${asked}`;
}

async function refresh() {
  asking?.abort();
  const mine = (asking = new AbortController()), where = place();
  try {
    const answer = await fetch(address(where), { signal: mine.signal });
    const text = await answer.text();
    if (mine.signal.aborted) return;
    show(where, JSON.parse(text), text);
    if (where.page !== "overview") about(await (await fetch("api/about", { signal: mine.signal })).json());
  } catch (error) {
    if (mine.signal.aborted) return;
    status.className = "lost";
    status.textContent = `otel-llm view does not answer; what is shown is of ${latest ? clock(latest) : "never"}`;
  }
}

function show(where, data, text) {
  latest = Date.now() / 1e3;
  if (where.page === "overview") { about(data.about); choices(data.choices, data.runs); }
  for (const link of document.querySelectorAll("nav a"))
    link.toggleAttribute("aria-current", link.hash === `#${where.page}`) && link.setAttribute("aria-current", "page");
  document.querySelector("#filters").hidden = where.page === "trace";
  if (text === last) return;
  last = text;
  drawn = () => PAGES[where.page](main, data, state);
  drawn();
  main.dataset.shown = location.hash || "#overview";
}

function about(said) {
  if (paused) return;
  status.className = said.quiet !== null && said.quiet < 15 ? "receiving" : "";
  const came = said.quiet === null ? "nothing has come since it started" : said.quiet < 15 ? "receiving" : `nothing came for ${Math.round(said.quiet)} s`;
  const text = said.live ? `${came} · OTLP at ${said.grpc} (gRPC) and ${said.http} (HTTP)` : said.file;
  if (status.textContent !== text) status.textContent = text;
  if (!said.live && state.window) state.set({ window: 0 });
}

function offer(name, value) {
  const select = document.querySelector(`#${name}`);
  if (![...select.options].some((option) => option.value === String(value))) select.append(html("option", { value }, value));
  select.value = value;
}

function choices({ models, services, runs }, known) {
  for (const [name, values] of [["model", models], ["service", services], ["run", runs]]) {
    const select = document.querySelector(`#${name}`);
    const there = new Set([...select.options].map((option) => option.value));
    for (const value of values) if (!there.has(value)) select.append(html("option", { value }, name === "run" ? (known[value]?.name ?? value.slice(0, 8)) : value));
    select.closest("label").hidden = select.options.length < 3;
  }
}

for (const name of FILTERS)
  document.querySelector(`#${name}`).addEventListener("change", (event) => state.set({ [name]: name === "window" ? Number(event.target.value) : event.target.value }));
document.querySelector("#find").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = `#trace/${new FormData(event.target).get("trace").trim()}`;
});
document.querySelector("#pause").addEventListener("click", (event) => {
  paused = !paused;
  event.target.setAttribute("aria-pressed", paused);
  if (paused) status.textContent = `paused at ${clock(Date.now() / 1e3)}`;
  else refresh();
});
addEventListener("hashchange", () => {
  if (place().page !== "calls") state.error = null;
  last = "";
  refresh().then(() => main.focus({ preventScroll: true }));
  scrollTo(0, 0);
});
// paper has a width and colours of its own, and printing waits for no answer: draw what is there again
function paper(printed) {
  document.documentElement.classList.toggle("print", printed);
  drawn();
}
const print = matchMedia("print");
print.addEventListener("change", () => paper(print.matches));
addEventListener("beforeprint", () => paper(true));
addEventListener("afterprint", () => paper(false));
let resized = 0;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => { last = ""; refresh(); }, 200); });
setInterval(() => { if (!paused && !document.hidden) refresh(); }, EVERY_MS);
refresh();
