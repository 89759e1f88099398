// Puts the page together: the form, the keys, and which conversation is shown.

import { Conversation } from "./conversation.js";
import { prepareDialogs } from "./dialogs.js";
import { byId } from "./dom.js";
import { keep, newConversation, prepareForgetting, showHistory } from "./history.js";
import { prepareLibrary } from "./library.js";

const question = byId("question");
let conversation = null;

function open(saved) {
  conversation?.stop();
  conversation = new Conversation(saved, (changed) => {
    keep(changed);
    list();
  });
  list();
}

function list() {
  showHistory(conversation.saved.id, open);
}

function ask(event) {
  event.preventDefault();
  const asked = question.value.trim();
  if (!asked || conversation.isBusy) return;
  question.value = "";
  fit();
  conversation.ask(asked, { compare: byId("compare").checked, prune: !byId("all").checked });
}

/** As high as what is written. */
function fit() {
  question.style.height = "auto";
  question.style.height = `${question.scrollHeight}px`;
}

function onKey(event) {
  const isWriting = event.target.matches("input:not([type=checkbox]), textarea");
  const isDialog = document.querySelector("dialog[open]");
  if (event.key === "Escape" && !isDialog) conversation.stop();
  if (event.key === "/" && !isWriting && !isDialog) {
    event.preventDefault();
    question.focus();
  }
}

byId("ask").addEventListener("submit", ask);
question.addEventListener("input", fit);
question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) ask(event);
});
document.addEventListener("keydown", onKey);
byId("stop").addEventListener("click", () => conversation.stop());
byId("compare").addEventListener("change", (event) => {
  document.body.classList.toggle("alone", !event.target.checked);
  if (event.target.checked) conversation.compare();
});
byId("new").addEventListener("click", () => {
  open(newConversation());
  question.focus();
});
prepareForgetting(() => open(newConversation()));
prepareDialogs();
open(newConversation());
prepareLibrary();
