// Two questions that the page asks: for an API key, and whether one is sure.

import { byId } from "./dom.js";

const KEY = "r2ag.key";

export const key = () => sessionStorage.getItem(KEY) ?? "";

let asking = null;

/** Asks for the API key, once for all requests that wait for it; whether one was given. */
export function askForKey() {
  asking ??= newKey().finally(() => (asking = null));
  return asking;
}

/** It lives as long as the tab, and goes into no address. */
async function newKey() {
  const dialog = byId("key-dialog");
  const value = byId("key-value");
  byId("key").hidden = false;
  value.value = "";
  const given = (await shown(dialog, "given")) && value.value.trim();
  value.value = "";
  if (given) sessionStorage.setItem(KEY, given);
  return Boolean(given);
}

export async function isSure(question, yes) {
  byId("sure-title").textContent = question;
  byId("sure-yes").textContent = yes;
  return shown(byId("sure-dialog"), "yes");
}

export function prepareDialogs() {
  byId("key").hidden = !key();
  byId("key").addEventListener("click", askForKey);
  byId("key-cancel").addEventListener("click", () => byId("key-dialog").close(""));
  byId("key-dialog").querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    byId("key-dialog").close("given");
  });
}

function shown(dialog, accepting) {
  dialog.returnValue = "";
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === accepting), { once: true });
  });
}
