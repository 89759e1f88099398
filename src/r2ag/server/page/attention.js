// Which anchors, and which texts, the LLM looks at as it begins an answer (the paper's figure 6).

import { element, svg } from "./dom.js";

const CELL = { width: 14, height: 18 };
const LABELS = 26;
const FOOT = 18;

export function attentionMaps({ ranks, anchors, documents }) {
  if (!ranks.length) return element("p", { class: "soft" }, "The LLM was not asked, so it looked at nothing.");
  return element(
    "div",
    { class: "attention" },
    element(
      "p",
      { class: "soft" },
      "How much attention the prompt’s last token, from which the answer’s first word is chosen, pays to each ",
      "document, layer by layer: to what the LLM was told of it (its anchor), and to its text.",
    ),
    heatMap("To each document’s anchor", ranks, anchors),
    heatMap("To each document’s text", ranks, documents),
  );
}

function heatMap(title, ranks, layers) {
  const { most, layer, rank } = strongest(ranks, layers);
  const said = `most ${share(most)}, in layer ${layer} to document ${rank}`;
  const [width, height] = [LABELS + CELL.width * layers.length, CELL.height * ranks.length + FOOT];
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}: ${said}` });
  ranks.forEach((of, row) => {
    drawn.append(svg("text", { x: LABELS - 8, y: row * CELL.height + 13, class: "end" }, String(of)));
    layers.forEach((shares, column) => drawn.append(cell(row, column, shares[row], most, of)));
  });
  layers.forEach((_, column) => {
    if (column === 0 || (column + 1) % 10 === 0) drawn.append(tick(column, height));
  });
  return element("figure", {}, element("figcaption", {}, title, element("span", { class: "soft" }, said)), drawn);
}

function cell(row, column, value, most, rank) {
  return svg(
    "rect",
    {
      x: LABELS + column * CELL.width,
      y: row * CELL.height,
      width: CELL.width - 1,
      height: CELL.height - 1,
      "fill-opacity": (0.04 + 0.96 * (most ? value / most : 0)).toFixed(3),
    },
    svg("title", {}, `layer ${column + 1}, document ${rank}: ${share(value)}`),
  );
}

function tick(column, height) {
  const x = LABELS + (column + 0.5) * CELL.width;
  return svg("text", { x, y: height - 4, class: "middle" }, column === 0 ? "layer 1" : String(column + 1));
}

function strongest(ranks, layers) {
  let best = { most: 0, layer: 1, rank: ranks[0] };
  layers.forEach((shares, layer) =>
    shares.forEach((value, index) => {
      if (value > best.most) best = { most: value, layer: layer + 1, rank: ranks[index] };
    }),
  );
  return best;
}

const share = (value) => `${(100 * value).toFixed(1)} %`;
