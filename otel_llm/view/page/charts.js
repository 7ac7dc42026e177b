// Charts as SVG. Both share the axis of time, so that a failure stands under the latencies of its moment.
import { html, svg } from "./element.js";
import { clock, count, duration, plural } from "./words.js";

let pointer = null;  // over the heatmap, if it is there
const LEFT = 64, RIGHT = 12, TOP = 8, BOTTOM = 22;

function frame(box, height, label) {
  const width = Math.max(box.clientWidth, 280);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": label });
  return { drawing, width, inside: width - LEFT - RIGHT, height };
}

function timeAxis({ drawing, inside, height }, start, end) {
  const wanted = inside < 400 ? 3 : 6;
  for (let at = 0; at <= wanted; at += 1) {
    const anchor = at === 0 ? "start" : at === wanted ? "end" : "middle";
    const x = LEFT + (inside * at) / wanted;
    drawing.append(svg("text", { x, y: height - 6, "text-anchor": anchor }, clock(start + ((end - start) * at) / wanted)));
  }
}

function ticks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1)
    for (const step of [1, 2, 5]) if (step * 10 ** power >= low && step * 10 ** power <= high) found.push(step * 10 ** power);
  return found.length > 7 ? found.filter((each) => String(each.toExponential())[0] === "1") : found;
}

// cells: [column, row, count]; dots lead to traces, and one can go from dot to dot with the arrow keys
export function heatmap(box, data, label) {
  const area = frame(box, 300, label);
  const { drawing, inside, height } = area;
  const low = Math.log(data.edges[0]), high = Math.log(data.edges.at(-1));
  const tall = height - TOP - BOTTOM, wide = inside / data.columns, rows = data.edges.length - 1;
  const y = (value) => TOP + tall * (1 - (Math.log(Math.max(value, data.edges[0])) - low) / (high - low));
  const x = (at) => LEFT + (inside * (at - data.start)) / (data.end - data.start || 1);
  for (const tick of ticks(data.edges[0], data.edges.at(-1))) {
    drawing.append(svg("line", { class: "grid", x1: LEFT, x2: LEFT + inside, y1: y(tick), y2: y(tick) }));
    drawing.append(svg("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, duration(tick).replace(/\.0+(?= )/, "")));
  }
  timeAxis(area, data.start, data.end);
  const most = Math.max(...data.cells.map((cell) => cell[2]));
  for (const [column, row, number] of data.cells)
    drawing.append(svg("rect", {
      class: "cell", x: LEFT + column * wide, width: Math.max(wide - 1, 1), y: y(data.edges[row + 1]),
      height: Math.max(tall / rows - 1, 1), "fill-opacity": (0.18 + 0.82 * Math.sqrt(number / most)).toFixed(3),
    }));
  for (const name of ["p50", "p99"]) if (data[name]) drawing.append(...lines(data[name], name, wide, y));
  const told = html("p", { class: "fine under-pointer" }, "Darker: more calls. A dot is the slowest call of its column and opens its trace.");
  const say = () => pointer && tell(pointer, drawing, data, told, wide, y);
  drawing.addEventListener("pointermove", (event) => { pointer = event; say(); });
  drawing.addEventListener("pointerleave", () => { pointer = null; });
  requestAnimationFrame(say);  // what is under a pointer that rests is told anew whenever it is drawn anew
  const dots = data.dots.map((dot, at) => dotOf(dot, at, x, y));
  for (const [at, dot] of dots.entries())
    dot.addEventListener("keydown", (event) => {
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: dots.length - 1 }[event.key];
      if (dots[to]) { event.preventDefault(); dots[to].focus(); }
    });
  drawing.append(...dots);
  return [drawing, told];
}

function lines(values, name, wide, y) {
  const pieces = [];
  let piece = [];
  for (const [at, value] of [...values.entries(), [values.length, null]])
    if (value !== null) piece.push([LEFT + (at + 0.5) * wide, y(value)]);
    else if (piece.length) { pieces.push(piece); piece = []; }
  return pieces.map((points) => {
    const [[fromX, fromY]] = points;  // one column alone is a short line
    const path = points.length > 1 ? points.map((point) => point.join(",")).join(" ") : `${fromX - wide / 2},${fromY} ${fromX + wide / 2},${fromY}`;
    return svg("polyline", { class: name, points: path });
  });
}

function dotOf(dot, at, x, y) {
  const said = `${duration(dot.value)} at ${clock(dot.at)}${dot.model ? `, ${dot.model}` : ""}: open the trace`;
  const place = { cx: x(dot.at), cy: y(dot.value) };
  return svg("a", { href: `#trace/${dot.trace ?? dot.call}`, "aria-label": said, tabindex: at ? -1 : 0, "data-key": `dot ${dot.trace ?? dot.call}` },
    svg("title", {}, said), svg("circle", { ...place, r: 9, class: "near" }), svg("circle", { ...place, r: 3.5, class: "dot" }));
}

function tell(event, drawing, data, told, wide, y) {
  const place = drawing.getBoundingClientRect();
  const column = Math.floor((event.clientX - place.left - LEFT) / wide), at = event.clientY - place.top;
  const row = data.edges.findIndex((edge, number) => y(edge) >= at && y(data.edges[number + 1] ?? edge) < at);
  const found = data.cells.find((cell) => cell[0] === column && cell[1] === row);
  const from = data.start + ((data.end - data.start) * column) / data.columns;
  if (row < 0) return;
  const calls = found ? plural(Math.round(found[2]), "call") : "no call";
  told.textContent = `${clock(from)}, ${duration(data.edges[row])} to ${duration(data.edges[row + 1])}: ${calls}`;
}

// Requests over time; those that failed stand on top.
export function course(box, data) {
  const most = Math.max(1, ...data.good.map((good, at) => good + data.failed[at]));
  const area = frame(box, 110, "Calls that ended, over time");
  const { drawing, inside, height } = area;
  const tall = height - TOP - BOTTOM, wide = inside / data.good.length;
  drawing.append(svg("text", { x: LEFT - 6, y: TOP + 10, "text-anchor": "end" }, count(most)));
  drawing.append(svg("line", { class: "grid", x1: LEFT, x2: LEFT + inside, y1: height - BOTTOM, y2: height - BOTTOM }));
  timeAxis(area, data.start, data.end);
  for (const [at, good] of data.good.entries()) {
    const bad = data.failed[at], place = { x: LEFT + at * wide, width: Math.max(wide - 1, 1) };
    const up = (tall * good) / most, top = bad ? Math.max((tall * bad) / most, 3) : 0;
    if (good) drawing.append(svg("rect", { ...place, class: "good", y: height - BOTTOM - up, height: up }));
    if (bad) drawing.append(svg("rect", { ...place, class: "bad", y: height - BOTTOM - up - top, height: top }));
  }
  return drawing;
}
