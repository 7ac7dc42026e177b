// A trace: its spans as a tree beside their time; what a span says opens under it.
import { html, replace, svg } from "./element.js";
import { duration, moment, plural } from "./words.js";

export function trace(main, data) {
  if (data === null)
    return replace(main, html("section", {}, html("h2", {}, "This trace is not here"), html("p", {}, "It never came, or it is older than what is kept.")));
  const alone = data.spans.length === 1;
  replace(main, html("section", {},
    html("h2", {}, data.trace_id ? `Trace ${data.trace_id}` : "A call without a trace"),
    html("p", { class: "under" }, `${moment(data.start)} · ${duration(data.duration)} · ${plural(data.spans.length, "span")}`),
    html("ul", { class: "tree" }, data.spans.map((span) => html("li", {}, row(span, data, alone)))),
    html("p", { class: "fine" }, "Blue: a client or work inside a program. Green: a server. Red: failed. Light ticks are the parts of an answer as they arrived, diamonds are events.")));
}

function row(span, data, open) {
  const indent = svg("svg", { width: Math.min(span.depth, 12) * 14, height: 1, "aria-hidden": true });
  return html("details", { "data-key": `span ${span.span_id}`, open },
    html("summary", { "data-key": `open ${span.span_id}` },
      html("span", { class: "name" }, indent, html("span", { class: span.failed ? "failed" : null }, span.name || "a span without a name"),
        html("span", { class: "small" }, [span.service, span.kind, span.orphan ? "its parent is not here" : ""].filter(Boolean).join(" · "))),
      bar(span, data),
      html("span", { class: "took" }, duration(span.duration))),
    html("div", { class: "inside" }, inside(span)));
}

function bar(span, data) {
  const at = (moment) => (1000 * Math.max(moment, 0)) / (data.duration || 1);
  const kind = span.failed ? "failed" : span.kind === "server" ? "server" : "";
  const ticks = span.chunks.slice(0, 2000).map((moment) => svg("line", { class: "tick", x1: at(moment), x2: at(moment), y1: 4, y2: 16, "vector-effect": "non-scaling-stroke" }));
  const events = span.events.map((event) => svg("path", { class: "event", d: `M${at(event.at)} 0 l4 5 l-4 5 l-4 -5z` }));
  return svg("svg", { viewBox: "0 0 1000 20", preserveAspectRatio: "none", width: "100%", height: 20, "aria-hidden": true },
    svg("rect", { class: `span ${kind}`, x: at(span.start), y: 4, height: 12, width: Math.max(at(span.duration), 3), rx: 2 }), ticks, events);
}

function inside(span) {
  const pairs = (given) => html("dl", { class: "said" }, given.map(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]));
  return [
    span.words ? html("pre", { class: "words" }, span.words) : null,
    html("dl", { class: "said" },
      span.start ? [html("dt", {}, "starts"), html("dd", {}, `${duration(span.start)} after the trace`)] : null,
      span.chunks.length ? [html("dt", {}, "first part of the answer"), html("dd", {}, `${duration(span.chunks[0] - span.start)} after the span, then ${plural(span.chunks.length - 1, "part")} in ${duration(span.chunks.at(-1) - span.chunks[0])}`)] : null),
    span.events.length ? html("h3", {}, "Events") : null,
    span.events.map((event) => html("dl", { class: "said" }, html("dt", {}, duration(event.at)), html("dd", {}, event.name), event.attributes.map(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]))),
    html("h3", {}, "Attributes"), pairs(span.attributes),
    html("h3", {}, "Resource"), pairs([...span.resource, ["instrumentation", span.scope]]),
  ];
}
