// The store's documents: dropped or chosen, sent, indexed, listed, deleted.

import { deleteAt, getJson, upload } from "./api.js";
import { isSure } from "./dialogs.js";
import { button, byId, element } from "./dom.js";

const POLL_MS = 1000;
const PAGE = 1000;

let lists = 0; // that were asked for
let poll;

/** Files are taken from the beginning: one that is dropped before the first list is there must not be lost. */
export async function prepareLibrary() {
  const withoutStore = new AbortController();
  takeFiles(withoutStore.signal);
  try {
    await showDocuments();
  } catch (error) {
    if (error.status === 404) return withoutStore.abort();
    say(error.message);
  }
  byId("library").hidden = false;
}

function takeFiles(signal) {
  const drop = document.querySelector(".drop");
  const hover = (isOver) => drop.classList.toggle("over", isOver);
  const on = (target, name, listener) => target.addEventListener(name, listener, { signal });
  on(byId("files"), "change", (event) => {
    send([...event.target.files]);
    event.target.value = "";
  });
  on(document, "dragover", (event) => {
    event.preventDefault();
    hover(true);
  });
  on(document, "dragleave", (event) => event.relatedTarget === null && hover(false));
  on(document, "drop", (event) => {
    event.preventDefault();
    hover(false);
    send([...event.dataTransfer.files]);
  });
}

/** One file after the other: the server indexes them one by one as well. */
async function send(files) {
  const rows = files.map((file) => uploadRow(file.name));
  byId("uploads").append(...rows.map(({ node }) => node));
  for (const [index, file] of files.entries()) {
    const { node, progress, note } = rows[index];
    try {
      await upload(file, (share) => (progress.value = share));
      node.remove();
    } catch (error) {
      progress.remove();
      note.textContent = error.message;
      node.append(button("Dismiss", () => node.remove(), { class: "link" }));
    }
    await showDocuments().catch((error) => say(error.message));
  }
}

function uploadRow(name) {
  const progress = element("progress", { max: "1", value: "0", "aria-label": `Sending ${name}` });
  const note = element("span", { class: "soft", role: "status" });
  return { node: element("li", {}, element("span", { class: "name" }, name), progress, note), progress, note };
}

/** Shows the list, unless a later one was asked for meanwhile: this one may be of before an upload. */
async function showDocuments() {
  const list = (lists += 1);
  try {
    const documents = await allDocuments();
    if (list !== lists) return;
    byId("document-count").textContent = documents.length || "";
    byId("documents").replaceChildren(...documents.map(documentRow));
    if (documents.some(({ status }) => status === "indexing")) showLater();
  } catch (error) {
    if (list === lists && mayPass(error)) showLater();
    throw error;
  }
}

function showLater() {
  clearTimeout(poll);
  poll = setTimeout(() => showDocuments().catch(() => {}), POLL_MS);
}

/** The server is away or busy; any other error would only be repeated. */
function mayPass({ status }) {
  return status === 0 || status === 429 || status >= 500;
}

async function allDocuments() {
  const documents = [];
  for (let has_more = true; has_more; ) {
    const after = documents.at(-1)?.id ?? "";
    const page = await getJson(`/v1/documents?limit=${PAGE}&after=${encodeURIComponent(after)}`);
    documents.push(...page.data);
    has_more = page.has_more;
  }
  return documents.sort((one, other) => one.name.localeCompare(other.name));
}

function documentRow({ id, name, bytes, status, reason }) {
  const state = { ready: size(bytes), indexing: "indexing …", failed: reason }[status];
  const deleting = button("×", () => remove(id, name), { class: "link", "aria-label": `Delete ${name}` });
  return element(
    "li",
    { class: status },
    element("span", { class: "name", title: name }, name),
    element("span", { class: "soft" }, state),
    deleting,
  );
}

async function remove(id, name) {
  if (!(await isSure(`Delete ${name}?`, "Delete it"))) return;
  try {
    await deleteAt(`/v1/documents/${encodeURIComponent(id)}`);
    await showDocuments();
  } catch (error) {
    say(error.message);
  }
}

function say(message) {
  const { node, progress, note } = uploadRow("");
  progress.remove();
  note.textContent = message;
  node.append(button("Dismiss", () => node.remove(), { class: "link" }));
  byId("uploads").append(node);
}

function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
