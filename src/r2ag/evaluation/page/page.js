"use strict";
// All text enters the page through textContent: what stands in a document is shown, never obeyed.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const element = (name, text, kind) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};

const matches = {
  all: () => true,
  right: (record, method) => record.predictions[method].right,
  wrong: (record, method) => !record.predictions[method].right,
  disagreement: (record) => new Set(Object.values(record.predictions).map((p) => p.right)).size > 1,
  abstained: (record, method) => record.predictions[method].abstained,
};

const chosen = () => {
  const method = byId("method").value, words = byId("words").value.toLowerCase();
  return data.records.filter((record) => matches[byId("state").value](record, method)
    && `${record.question}\n${record.answers.join("\n")}\n${record.id}`.toLowerCase().includes(words));
};

const showAnswer = (method, prediction) => {
  const box = element("div", undefined, `answer ${prediction.right ? "right" : "wrong"}`);
  const verdict = prediction.abstained ? "abstained" : prediction.right ? "right" : "wrong";
  const head = element("div", `${method}: `);
  head.append(element("b", verdict), element("span", ` · F1 ${prediction.f1.toFixed(2)} · ${prediction.documents_read}`
    + ` documents · ${prediction.prompt_tokens} prompt tokens · ${prediction.seconds.toFixed(2)} s`, "soft"));
  box.append(head, element("p", prediction.text || "(no answer)"));
  return box;
};

const showDocument = (shown, index) => {
  const box = element("details", undefined, shown.relevant ? "gold" : "");
  const summary = element("summary", `${index + 1}. ${shown.title || shown.text.slice(0, 80)} `);
  if (shown.relevance_probability !== null) {
    const meter = element("meter");
    meter.value = shown.relevance_probability;
    summary.append(meter, element("span", ` ${shown.relevance_probability.toFixed(2)}`, "soft"));
  }
  if (shown.relevant) summary.append(element("span", " ★ relevant"));
  const features = Object.entries(shown.features).map(([name, value]) => `${name} ${value.toFixed(3)}`).join(" · ");
  box.append(summary, element("p", features, "soft"), element("p", shown.text));
  return box;
};

const show = (record) => {
  const answers = Object.entries(record.predictions).map(([method, prediction]) => showAnswer(method, prediction));
  byId("record").replaceChildren(
    element("h3", record.question),
    element("p", `${record.dataset} · ${record.id} · gold: ${record.answers.join(" | ")}`, "soft"),
    ...answers,
    element("h3", "Documents, as they stood in the list"),
    ...record.documents.map(showDocument),
  );
};

const refresh = () => {
  const records = chosen(), list = byId("list");
  byId("count").textContent = `${records.length} of ${data.records.length}`;
  list.replaceChildren(...records.map((record) => {
    const item = element("li"), button = element("button", record.question);
    button.type = "button";
    button.addEventListener("click", () => {
      list.querySelectorAll("[aria-current]").forEach((other) => other.removeAttribute("aria-current"));
      button.setAttribute("aria-current", "true");
      show(record);
    });
    item.append(button);
    return item;
  }));
  const first = list.querySelector("button");
  if (first) first.click(); else byId("record").replaceChildren();
};

byId("method").replaceChildren(...data.methods.map((name) => element("option", name)));
for (const id of ["method", "state", "words"]) byId(id).addEventListener("input", refresh);
byId("browser").querySelector("form").addEventListener("submit", (event) => event.preventDefault());
refresh();
