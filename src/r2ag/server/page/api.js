// The server's addresses. Whoever calls gets its answer, or an Error whose message is the server's own sentence.

import { askForKey, key } from "./dialogs.js";

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function getJson(path) {
  return (await send(path, { method: "GET" })).json();
}

export async function postJson(path, body, signal) {
  return (await send(path, withBody(body, signal))).json();
}

export async function deleteAt(path) {
  await send(path, { method: "DELETE" });
}

/** Pieces of an answer's text as they are written, then its field `r2ag`. */
export async function* streamed(body, signal) {
  const response = await send("/v1/chat/completions", withBody({ ...body, stream: true }, signal));
  for await (const event of events(response)) {
    if (event.error) throw new ApiError(response.status, event.error.message);
    const piece = event.choices[0]?.delta.content;
    if (piece) yield piece;
    if (event.r2ag) yield event.r2ag;
  }
}

/** Sends a file. XMLHttpRequest, since fetch tells nothing of how much has been sent. */
export async function upload(file, onProgress) {
  const { status, body } = await sendFile(file, onProgress);
  if (status === 401 && (await askForKey())) return upload(file, onProgress);
  if (status !== 202) throw new ApiError(status, body?.error?.message ?? "The file could not be sent.");
  return body;
}

async function send(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, ...authorization() } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server can't be reached; start it again with r2ag serve.");
  }
  if (response.ok) return response;
  if (response.status === 401 && (await askForKey())) return send(path, options);
  const body = await response.json().catch(() => null);
  throw new ApiError(response.status, body?.error?.message ?? `The server answered with ${response.status}.`);
}

function withBody(body, signal) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal };
}

function authorization() {
  return key() ? { Authorization: `Bearer ${key()}` } : {};
}

/** Server-sent events, each one line of JSON. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data: {")) yield JSON.parse(line.slice(6));
    }
  }
}

function sendFile(file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("file", file);
    request.open("POST", "/v1/documents");
    request.responseType = "json";
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => onProgress(event.loaded / (event.total || 1)));
    request.addEventListener("load", () => resolve({ status: request.status, body: request.response }));
    request.addEventListener("error", () => reject(new ApiError(0, "The file could not be sent.")));
    request.send(form);
  });
}
