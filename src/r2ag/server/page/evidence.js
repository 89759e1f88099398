// The documents of an answer: what is known of each, as small bars, and its text with the cited passage marked.

import { element } from "./dom.js";
import { highlighted } from "./highlight.js";

const FEATURES = {
  relevance: ["question", "How alike in meaning it is to the question (r)"],
  precedent: ["above", "How alike in meaning it is to the documents above it (γ)"],
  neighbour: ["beside", "How alike in meaning it is to those just above and below (ζ)"],
};

export const MEANING =
  "relevant: how probable it is that the document bears on the question. question, above, beside: how alike in " +
  "meaning it is to the question, to the documents above it, and to those just above and below.";

export function evidence(facts, answer) {
  const list = element("ol", { class: "evidence", "aria-label": "Documents" });
  for (const document of facts.documents) list.append(item(document, facts.citations.includes(document.rank), answer));
  return list;
}

function item(document, isCited, answer) {
  const shown = (text) => (isCited ? highlighted(text, answer) : [text]);
  const state = isCited ? "cited" : document.used ? "read" : "not read";
  const summary = element(
    "summary",
    {},
    element("span", { class: "rank" }, String(document.rank)),
    element(
      "span",
      { class: "name" },
      element("span", { class: "title" }, ...shown(document.title || document.source || "Untitled")),
      " ",
      element("span", { class: "source" }, [document.source, document.place].filter(Boolean).join(", ")),
    ),
    element("span", { class: `state ${state.replace(" ", "-")}` }, state),
    bars(document),
  );
  const text = element("p", { class: "text" }, ...shown(document.text));
  const section = document.section && document.section !== document.title ? [element("p", { class: "source" }, document.section)] : [];
  return element("li", {}, element("details", { open: isCited }, summary, ...section, text));
}

function bars(document) {
  const relevance = bar("relevant", "How probable it is that it bears on the question", document.relevance_probability);
  relevance.classList.add("probability");
  const features = Object.entries(document.features).map(([name, value]) => bar(...(FEATURES[name] ?? [name, name]), value));
  return element("span", { class: "bars" }, relevance, ...features);
}

function bar(label, meaning, value) {
  const fill = element("span", { class: "fill" });
  fill.style.width = `${100 * Math.min(1, Math.max(0, value))}%`;
  return element(
    "span",
    { class: "bar", title: meaning },
    element("span", { class: "label" }, label),
    " ",
    element("span", { class: "value" }, value.toFixed(2)),
    element("span", { class: "track", "aria-hidden": "true" }, fill),
  );
}
