// Where a document bears an answer; the rule is that of r2ag/trust.py, which decides what is cited.

import { element } from "./dom.js";

const SHORT_ANSWER_WORDS = 5;
const LEAST_SHARED_WORDS = 0.6;
const WORD = /[\u3040-\u30ff\u3400-\u9fff]|[\p{L}\p{N}]+/gu;

/** The text, with what bears the answer in <mark>. */
export function highlighted(text, answer) {
  const parts = [];
  let end = 0;
  for (const [from, to] of spans(text, answer)) {
    parts.push(text.slice(end, from), element("mark", {}, text.slice(from, to)));
    end = to;
  }
  return [...parts, text.slice(end)];
}

function spans(text, answer) {
  const answered = words(answer).map(({ word }) => word);
  if (!answered.length) return [];
  return answered.length <= SHORT_ANSWER_WORDS ? wordForWord(words(text), answered) : sentences(text, answered);
}

function words(text) {
  return [...text.matchAll(WORD)].map((match) => ({
    word: match[0].toLowerCase(),
    from: match.index,
    to: match.index + match[0].length,
  }));
}

function wordForWord(read, answered) {
  const found = [];
  for (let start = 0; start + answered.length <= read.length; start += 1) {
    if (answered.every((word, offset) => read[start + offset].word === word)) {
      found.push([read[start].from, read[start + answered.length - 1].to]);
      start += answered.length - 1;
    }
  }
  return found;
}

/** The sentences that share most content words with a longer answer: each that has the share alone, else the best. */
function sentences(text, answered) {
  const content = new Set(answered.filter((word) => word.length > 3 || /[^\x00-\x7f]/.test(word)));
  if (!content.size) return [];
  const rated = [...text.matchAll(/[^.!?。！？\n]+[.!?。！？]*/g)].map((match) => {
    const shared = new Set(words(match[0]).map(({ word }) => word).filter((word) => content.has(word)));
    return { span: [match.index, match.index + match[0].length], share: shared.size / content.size };
  });
  const best = Math.max(0, ...rated.map(({ share }) => share));
  const least = Math.min(best, LEAST_SHARED_WORDS);
  return best === 0 ? [] : rated.filter(({ share }) => share >= least).map(({ span }) => span);
}
