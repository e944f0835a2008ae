"""The script of a sweep's page: small multiples of a number, drawn as SVG from the page's own data."""

SCRIPT = r"""
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666"];
const NONE = "(none)", WIDTH = 300, HEIGHT = 220, LEFT = 62, BOTTOM = 42, TOP = 24;
const shown = v => typeof v === "string" ? v : JSON.stringify(v);
const unique = values => [...new Set(values.map(shown))];
const choice = {};

function make(tag, attributes, text) {
  const inSvg = ["svg", "line", "path", "circle", "text", "g", "a", "title"].includes(tag);
  const space = inSvg ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const node = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function select(name, label, options, chosen) {
  const old = choice[name] && choice[name].value, node = make("select", {"aria-label": label});
  for (const option of options) node.append(make("option", {value: option}, option));
  node.value = options.includes(old) ? old : options.includes(chosen) ? chosen : options[0];
  node.onchange = draw;
  choice[name] = node;
  const outer = make("label", {}, label + " ");
  outer.append(node);
  return outer;
}

function value(run, name) { return name === NONE ? "" : run.parameters[name]; }

function ordered(runs, name) {
  const values = runs.map(run => value(run, name)).filter(v => v !== undefined);
  const numbers = values.every(v => typeof v === "number");
  return unique(numbers ? [...values].sort((a, b) => a - b) : values);
}

function points(runs, number) {
  return runs.flatMap(run => run.numbers.filter(n => n[0] === number).map(n => ({run, y: n[1]})));
}

function ticks(low, high) {
  const step = 10 ** Math.floor(Math.log10((high - low) / 3)), fine = [1, 2, 5, 10].map(k => k * step);
  const by = fine.find(s => (high - low) / s <= 5) || step;
  const found = [];
  for (let i = Math.ceil(low / by); i * by <= high; i++) found.push(i * by);
  return found;
}

function range(values) {
  const low = Math.min(...values), high = Math.max(...values);
  const room = (high - low) * 0.06 || Math.abs(low) * 0.1 || 1;
  return [low - room, high + room];
}

function panel(title, marks, x, groups, line, span) {
  const svg = make("svg", {width: WIDTH, height: HEIGHT, role: "img"});
  svg.append(make("title", {}, title), make("text", {x: LEFT, y: 14, "font-weight": "bold"}, title));
  const numeric = x.every(v => v !== "" && isFinite(Number(v)));
  const across = numeric ? range(x.map(Number)) : [-0.5, x.length - 0.5];
  const share = v => ((numeric ? Number(v) : x.indexOf(v)) - across[0]) / (across[1] - across[0]);
  const px = v => LEFT + (WIDTH - LEFT - 12) * share(v);
  const py = v => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (v - span[0]) / (span[1] - span[0]);
  for (const t of ticks(...span)) {
    svg.append(make("line", {x1: LEFT, x2: WIDTH - 8, y1: py(t), y2: py(t), stroke: "#e5e5e5"}));
    const text = String(Number(t.toPrecision(6)));
    svg.append(make("text", {x: LEFT - 5, y: py(t) + 4, "text-anchor": "end"}, text));
  }
  for (const v of x.filter((_, i) => i % Math.ceil(x.length / 6) === 0)) {
    svg.append(make("text", {x: px(v), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle"}, v.slice(0, 12)));
  }
  svg.append(make("text", {x: (LEFT + WIDTH) / 2, y: HEIGHT - 8, "text-anchor": "middle"}, choice.x.value));
  groups.forEach((group, k) => {
    const colour = COLOURS[k % COLOURS.length], mine = marks.filter(m => shown(value(m.run, line)) === group);
    const at = v => mine.filter(m => shown(value(m.run, choice.x.value)) === v).map(m => m.y);
    const means = x.map(v => [v, at(v)]).filter(p => p[1].length);
    const mean = ys => ys.reduce((a, b) => a + b) / ys.length;
    const path = "M" + means.map(([v, ys]) => px(v) + "," + py(mean(ys))).join("L");
    if (means.length > 1) svg.append(make("path", {d: path, fill: "none", stroke: colour}));
    for (const m of mine) {
      const link = make("a", {href: "runs/" + m.run.run + "/page.html"});
      const cx = px(shown(value(m.run, choice.x.value)));
      const dot = make("circle", {cx, cy: py(m.y), r: 3.5, fill: colour});
      dot.append(make("title", {}, JSON.stringify(m.run.parameters) + ": " + m.y));
      link.append(dot);
      svg.append(link);
    }
  });
  return svg;
}

function draw() {
  const lessons = unique(data.runs.map(run => run.lesson));
  const box = document.getElementById("choice"), panels = document.getElementById("panels");
  const selects = [select("lesson", "lesson", lessons)];
  const here = data.runs.filter(run => run.lesson === choice.lesson.value);
  selects.push(select("number", "number", unique(here.flatMap(run => run.numbers.map(n => n[0])))));
  const axes = data.parameters.filter(name => unique(here.map(run => value(run, name))).length > 1);
  selects.push(select("x", "across", axes.length ? axes : [NONE], axes[0]));
  selects.push(select("line", "lines", [NONE, ...axes], axes[1]));
  selects.push(select("panel", "panels", [NONE, ...axes], axes[2]));
  box.replaceChildren(...selects);
  const number = choice.number.value, marks = points(here, number), runs = marks.map(m => m.run);
  document.getElementById("what").textContent = number;
  const x = ordered(runs, choice.x.value), line = choice.line.value, groups = ordered(runs, line);
  const legend = line === NONE ? [] : groups.map((g, k) =>
    make("span", {style: "color:" + COLOURS[k % COLOURS.length]}, "● " + line + " = " + g));
  document.getElementById("legend").replaceChildren(...legend);
  const span = range(marks.map(m => m.y)), by = choice.panel.value;
  panels.replaceChildren(...ordered(runs, by).map(v => panel(by === NONE ? "" : by + " = " + v,
    marks.filter(m => shown(value(m.run, by)) === v), x, groups, line, span)));
}

if (data.runs.some(run => run.numbers.length)) {
  data.runs = data.runs.filter(run => run.numbers.length);
  draw();
}
"""
