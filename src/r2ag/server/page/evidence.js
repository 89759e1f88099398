// The documents of an answer: what is known of each, as small bars, and its text with the cited passage marked.

import { element } from "./dom.js";
import { highlighted } from "./highlight.js";

const FEATURES = {
  relevance: ["to question", "How alike it and the question are in meaning (r)"],
  precedent: ["to above", "How alike it and the documents above it are (γ)"],
  neighbour: ["to beside", "How alike it and those just above and below are (ζ)"],
};

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
  const section = document.section ? [element("p", { class: "source" }, document.section)] : [];
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
