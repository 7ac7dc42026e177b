"use strict";
Bokeh.require("core/logging").logger.set_level("warn");
const items = JSON.parse(document.getElementById("charts").textContent);
const drawn = Promise.all(items.map((item) => Bokeh.embed.embed_item(item)));
// canvases keep the colours they were painted in: paint again where the page's colours change
async function repaint() {
  for (const views of await drawn) for (const view of views) view.request_repaint?.();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
matchMedia("print").addEventListener("change", repaint);
drawn.then(() => document.documentElement.setAttribute("data-drawn", items.length));
