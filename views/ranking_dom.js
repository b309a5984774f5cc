// Making elements. Text that others wrote comes in through `seen` and textContent only.

// What steers, hides or reorders text, or is half of a character. Joiners stay: scripts and emoji need them.
const UNSEEN = new RegExp(
  "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f"
  + "\\ufeff\\ufff9-\\ufffb\\ufffe\\uffff\\ud800-\\udfff\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e007f}]",
  "gu",
);

// Spell out each such character, so that it can be seen and does nothing.
export const seen = (text) =>
  text.replaceAll("\r\n", "\n").replace(UNSEEN, (one) => `⟨${one.codePointAt(0).toString(16).toUpperCase()}⟩`);

export const get = (id) => document.getElementById(id);

export function el(tag, attributes = {}, words = "") {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.textContent = words;
  return made;
}

export function button(words, label, does, more = {}) {
  const made = el("button", { type: "button", "aria-label": label, title: label, ...more }, words);
  made.addEventListener("click", does);
  return made;
}

export const said = (tag, text, more = {}) => el(tag, { class: "said", dir: "auto", ...more }, seen(text));
