// One question with its answer, as the page shows it.

import { attentionMaps } from "./attention.js";
import { postJson } from "./api.js";
import { button, element } from "./dom.js";
import { evidence, MEANING } from "./evidence.js";

/** Draws `exchange` ({question, answer, facts, plain, attention, error}), which the conversation fills. */
export class ExchangeView {
  constructor(exchange, onChange) {
    this.exchange = exchange;
    this.onChange = onChange;
    this.answer = element("p", { class: "answer" });
    this.plain = element("p", { class: "answer" });
    this.understood = element("p", { class: "soft" });
    this.why = element("div", { class: "why" });
    this.problem = element("p", { class: "problem", role: "alert" });
    this.compared = element("div", { class: "side plain", hidden: true }, element("h3", {}, "Plain RAG"), this.plain);
    this.node = element(
      "article",
      { class: "exchange" },
      element("h2", {}, exchange.question),
      this.understood,
      element(
        "div",
        { class: "answers" },
        element("div", { class: "side" }, element("h3", {}, "R²AG"), this.answer),
        this.compared,
      ),
      this.problem,
      this.why,
    );
    this.draw();
  }

  /** Shows all that the exchange has. */
  draw() {
    const { question, answer, facts, plain, error } = this.exchange;
    this.answer.textContent = answer;
    this.answer.classList.toggle("abstained", Boolean(facts?.abstained));
    this.plain.textContent = plain ?? "";
    this.compared.hidden = plain === undefined;
    this.node.classList.toggle("compared", plain !== undefined);
    this.understood.textContent = facts && facts.question !== question ? `Understood as: ${facts.question}` : "";
    this.problem.textContent = error ?? "";
    if (facts && !this.why.hasChildNodes()) this.explain();
  }

  busy(side, isBusy) {
    this[side].classList.toggle("writing", isBusy);
    this.node.setAttribute("aria-busy", String(isBusy));
  }

  explain() {
    const { answer, facts, attention } = this.exchange;
    if (!facts.documents.length) return;
    this.why.append(element("p", { class: "sentence" }, sentence(facts)), evidence(facts, answer), element("p", { class: "meaning" }, MEANING));
    if (facts.abstained || facts.has_attention === false) return;
    if (attention) this.why.append(attentionMaps(attention));
    else this.why.append(button("Where the answer looked", (event) => this.attend(event.target), { class: "quiet" }));
  }

  async attend(asking) {
    const { facts } = this.exchange;
    const documents = facts.documents.map(({ text, title, id }) => ({ text, title, id }));
    // What was read is read again, whichever rule left the rest out.
    const prune = facts.documents.some((document) => !document.used);
    asking.disabled = true;
    asking.textContent = "Reading the prompt again …";
    try {
      this.exchange.attention = await postJson("/r2ag/attention", { question: facts.question, documents, prune });
      asking.replaceWith(attentionMaps(this.exchange.attention));
      this.onChange();
    } catch (error) {
      this.problem.textContent = error.message;
      asking.disabled = false;
      asking.textContent = "Where the answer looked";
    }
  }
}

function sentence(facts) {
  if (facts.abstained) {
    const best = Math.max(...facts.documents.map((document) => document.relevance_probability));
    return `None of the ${facts.documents.length} documents found is probable enough to be relevant (at most ${best.toFixed(2)}), so the LLM was not asked.`;
  }
  const read = facts.documents.filter((document) => document.used).length;
  const cited = facts.citations.length ? `document ${facts.citations.join(", ")}` : "none";
  return `${facts.documents.length} documents were found. The LLM read ${read} of them; its answer cites ${cited}.`;
}
