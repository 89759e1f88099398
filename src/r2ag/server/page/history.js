// Conversations of before, which this browser alone keeps.

import { isSure } from "./dialogs.js";
import { button, byId, element } from "./dom.js";

const HISTORY = "r2ag.history";
const MOST = 50;

/** Its id is no crypto.randomUUID: browsers have that only over HTTPS and on this machine. */
export const newConversation = () => ({ id: `${Date.now()}-${Math.random()}`, exchanges: [] });

/** Keeps a conversation as the newest one; the oldest make room where the browser gives no more. */
export function keep(conversation) {
  let kept = [conversation, ...conversations().filter(({ id }) => id !== conversation.id)].slice(0, MOST);
  while (kept.length) {
    try {
      localStorage.setItem(HISTORY, JSON.stringify(kept));
      return;
    } catch {
      kept = kept.slice(0, -1);
    }
  }
}

export function showHistory(current, onOpen) {
  const kept = conversations();
  byId("history").hidden = kept.length === 0;
  byId("conversations").replaceChildren(
    ...kept.map((conversation) => {
      const isCurrent = conversation.id === current && { "aria-current": "true" };
      const label = conversation.exchanges[0].question;
      return element("li", {}, button(label, () => onOpen(conversation), { class: "entry", title: label, ...isCurrent }));
    }),
  );
}

export function prepareForgetting(onForgotten) {
  byId("forget").addEventListener("click", async () => {
    if (!(await isSure("Forget all conversations?", "Forget them"))) return;
    localStorage.removeItem(HISTORY);
    onForgotten();
  });
}

function conversations() {
  try {
    return JSON.parse(localStorage.getItem(HISTORY)) ?? [];
  } catch {
    return [];
  }
}
