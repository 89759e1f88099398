// Asking: one question after the other, each with those before it.

import { streamed } from "./api.js";
import { byId } from "./dom.js";
import { ExchangeView } from "./exchange.js";

const TURNS_SENT = 10;

export class Conversation {
  /** `saved` is a conversation of the history; `onChange` keeps it there. */
  constructor(saved, onChange) {
    this.saved = saved;
    this.onChange = () => onChange(saved);
    this.views = saved.exchanges.map((exchange) => new ExchangeView(exchange, this.onChange));
    this.stopping = null;
    byId("exchanges").replaceChildren(...this.views.map((view) => view.node).reverse());
    byId("welcome").hidden = this.views.length > 0;
  }

  get isBusy() {
    return this.stopping !== null;
  }

  stop() {
    this.stopping?.abort();
  }

  async ask(question, { compare, prune }) {
    const exchange = { question, answer: "" };
    const view = new ExchangeView(exchange, this.onChange);
    const messages = [...this.turns(), { role: "user", content: question }];
    this.views.push(view);
    byId("exchanges").prepend(view.node);
    byId("welcome").hidden = true;
    await this.guarded(view, async (signal) => {
      await this.write(view, "answer", { model: "r2ag", messages, prune }, signal);
      this.saved.exchanges.push(exchange);
      this.onChange();
      byId("said").textContent = `Answer: ${exchange.answer}`;
      if (compare) await this.comparePlain(view, signal);
    });
  }

  /** Puts plain RAG's answer beside the last one. */
  async compare() {
    const view = this.views.at(-1);
    if (!view?.exchange.facts || view.exchange.plain !== undefined || this.isBusy) return;
    await this.guarded(view, (signal) => this.comparePlain(view, signal));
  }

  async comparePlain(view, signal) {
    const messages = [{ role: "user", content: view.exchange.facts.question }];
    view.exchange.plain = "";
    await this.write(view, "plain", { model: "rag", messages }, signal);
    this.onChange();
    byId("said").textContent = `Plain RAG: ${view.exchange.plain}`;
  }

  /** Streams an answer into a side of the exchange. */
  async write(view, side, body, signal) {
    view.busy(side, true);
    try {
      for await (const item of streamed(body, signal)) {
        if (typeof item === "string") view.exchange[side] += item;
        else if (side === "answer") view.exchange.facts = item;
        view.draw();
      }
    } finally {
      view.busy(side, false);
    }
  }

  /** Does something that may be stopped, and says what went wrong where it happened. */
  async guarded(view, work) {
    this.stopping = new AbortController();
    showStop(true);
    try {
      await work(this.stopping.signal);
    } catch (error) {
      view.exchange.error = error.name === "AbortError" ? "Stopped." : error.message;
      view.draw();
    } finally {
      this.stopping = null;
      showStop(false);
    }
  }

  turns() {
    const whole = this.saved.exchanges.filter((exchange) => exchange.answer).slice(-TURNS_SENT);
    return whole.flatMap(({ question, answer }) => [
      { role: "user", content: question },
      { role: "assistant", content: answer },
    ]);
  }
}

function showStop(isShown) {
  byId("stop").hidden = !isShown;
  byId("send").hidden = isShown;
}
