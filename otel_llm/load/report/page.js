"use strict";
Bokeh.require("core/logging").logger.set_level("warn");
const items = JSON.parse(document.getElementById("charts").textContent);
const charts = [];
// charts keep the colours they were painted in: paint again where the page's colours change
function repaint() {
  for (const chart of charts) chart.request_repaint();
}
// paper has a width and colours of its own, and printing waits for no frame: fit and paint at once
function paper(printed) {
  document.documentElement.classList.toggle("print", printed);
  for (const chart of charts) {
    chart.canvas_view.after_resize();
    chart.after_resize();
    chart.invalidate_painters();
    chart.repaint();
  }
}
const print = matchMedia("print");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
print.addEventListener("change", () => paper(print.matches));
addEventListener("beforeprint", () => paper(true));
addEventListener("afterprint", () => paper(false));
Promise.all(items.map((item) => Bokeh.embed.embed_item(item))).then((drawn) => {
  for (const views of drawn) charts.push(...[...views].filter((view) => view.canvas_view));
  document.documentElement.setAttribute("data-drawn", items.length);
});
