// The ranking page: shows a sheet, lets its cards be ordered, saves each change. The rules of ordering are in
// ranking_list.js, what is to be seen in ranking_cards.js. What is done last is saved first: one save at a time, each
// naming the state it was made from, so that the server can tell when another window was faster.
import { LINE, aside, fresh, lineBelow, noLine, ofMarks, placeCount, put, rowOf, step, tie, toMarks }
  from "./ranking_list.js";
import { cardOf, lineOf, originsOf, rowsOf, standing } from "./ranking_cards.js";
import { button, get, seen } from "./ranking_dom.js";
import { dragging } from "./ranking_drag.js";

const SAVE_AFTER = 300, ASK_EVERY = 4000, AGAIN_AFTER = 2000; // milliseconds
const TAB = [...crypto.getRandomValues(new Uint32Array(4))].join("-");

let me = "", sheets = [], view = null, base = "", number = 0; // who, which, made from what, how often sent
let lists = [], seconds = [], at = 0, unfolded = new Set(); // one list for each criterion; the one at hand
let past = [], future = [], active = null, grabbed = null, before = null, open = new Set(), warned = false;
let since = null, dirty = false, saving = null, timer = null, over = false;

const list = () => lists[at];
const say = (words) => { get("live").textContent = words; };
const saved = (words) => { get("saved").textContent = words; };
const notice = (words) => { get("notice").textContent = words; get("notice").hidden = !words; };

// Talking to the server

async function ask(path, sent) {
  const how = sent && {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(sent),
  };
  const answer = await fetch(path, { ...how, cache: "no-store" });
  if (answer.status === 403) {
    close("This window is not let in any more: hunch was started anew, or another expert opened a link in this browser. "
      + "Open your new link from the terminal; what was saved is there.");
  }
  return { status: answer.status, body: await answer.json().catch(() => ({})) };
}

function close(words) { // nothing more can be done in this window
  over = true;
  notice(words);
  saved("");
  get("main").inert = true;
}

function tick() { // count the time for which the list was to be seen
  const now = performance.now();
  if (since !== null) seconds[at] += (now - since) / 1000;
  since = document.visibilityState === "visible" && !get("work").hidden ? now : null;
}

function sent() {
  tick();
  number += 1;
  const marks = view.criteria.map((criterion, n) => toMarks(lists[n], criterion, seconds[n]));
  return { expert: me, base, draft: { marks, unfolded: [...unfolded], tab: TAB, number } };
}

function touched() {
  dirty = true;
  saved("Saving …");
  clearTimeout(timer);
  timer = setTimeout(save, SAVE_AFTER);
}

function save() { // what changes while one save is on its way is saved after it
  clearTimeout(timer);
  saving ??= saveAll().finally(() => { saving = null; });
  return saving;
}

async function saveAll() {
  while (dirty && !over) {
    dirty = false;
    const { status, body } = await ask(`sheets/${view.id}/draft`, sent()).catch(() => ({ status: 0, body: {} }));
    if (status === 200) {
      base = body.base;
      if (!dirty) saved("Saved");
    } else if (status === 409) adopt(body);
    else if (status === 0 || status === 503) {
      dirty = true;
      saved(`Not saved: ${body.reason ? seen(body.reason) : "the server does not answer."} Trying again …`);
      await new Promise((done) => { setTimeout(done, AGAIN_AFTER); });
    } else if (status !== 403) {
      saved("Not saved");
      notice(`This was not saved: ${seen(body.reason ?? `the server answers ${status}`)}`);
    }
  }
}

async function submit() {
  get("submit").disabled = true;
  await save();
  if (!over && !dirty) {
    const { status, body } = await ask(`sheets/${view.id}/rankings`, sent()).catch(() => ({ status: 0, body: {} }));
    if (status === 200) {
      sheets = sheets.map((sheet) => (sheet.id === body.id ? { ...sheet, ranked: true } : sheet));
      take(body);
      notice("");
      get("next").focus();
    } else if (status === 409) adopt(body);
    else if (status === 0) notice("The server does not answer, so this was not sent. Press the button again in a moment.");
    else if (status !== 403) notice(`This was not saved: ${seen(body.reason ?? `the server answers ${status}`)}`);
  }
  get("submit").disabled = false;
}

function adopt(newer) {
  dirty = false;
  take(newer);
  notice("Another window changed this ranking; this is how it stands there.");
}

async function look() { // new sheets come while the page is open
  if (over) return;
  const { status, body } = await ask("sheets").catch(() => ({ status: 0, body: {} }));
  if (status === 0) saved("The server does not answer.");
  if (status !== 200) return;
  if (me && body.expert !== me) {
    close("Another expert opened a link in this browser; go on in that window.");
    return;
  }
  ({ expert: me, sheets } = body);
  if (!view && sheets.length) await load(wanted());
  else if (!view) show("done");
  else if (!get("done").hidden && nextSheet()) await load(nextSheet());
  else progress();
}

// Which sheet

function nextSheet() { // the next that is not ranked
  const from = sheets.findIndex((sheet) => sheet.id === view?.id) + 1;
  return [...sheets.slice(from), ...sheets.slice(0, from)].find((sheet) => !sheet.ranked)?.id;
}

function wanted() { // what the address names, or what is to be done
  const id = location.hash.slice(1).split("/")[0];
  return sheets.some((sheet) => sheet.id === id) ? id : nextSheet() ?? sheets.at(-1).id;
}

async function load(id) {
  await save();
  if (over || dirty) return;
  const { status, body } = await ask(`sheets/${id}/`).catch(() => ({ status: 0, body: {} }));
  if (status !== 200 || over) return;
  take(body);
  notice("");
  saved("");
}

const beside = (by) => sheets[sheets.findIndex((sheet) => sheet.id === view?.id) + by]?.id;

function take(newer) { // show a sheet as the server has it
  tick();
  const [id, was] = location.hash.slice(1).split("/");
  view = newer;
  ({ base } = view);
  const marks = new Map([...view.rankings, ...(view.draft?.marks ?? [])].map((one) => [one.criterion, one]));
  const known = view.criteria.map((criterion) => marks.get(criterion));
  lists = known.map((one) => (one ? ofMarks(one) : fresh(view.cards.map((card) => card.key))));
  seconds = known.map((one) => one?.seconds ?? 0);
  unfolded = new Set(view.draft?.unfolded ?? []);
  [past, future, active, grabbed, open, warned] = [[], [], null, null, new Set(), false];
  const missing = known.findIndex((one) => !one || (one.accepted === null && one.order.length));
  at = missing < 0 ? known.length - 1 : missing;
  if (id === view.id && was < known.length) at = Number(was);
  show(view.ranked && !view.draft ? "told" : "work");
}

function show(section) {
  tick();
  for (const one of ["work", "told", "done"]) get(one).hidden = one !== section;
  since = null;
  tick();
  if (section === "work") render();
  if (section === "told") {
    get("told-question").textContent = seen(view.question);
    get("origins").replaceChildren(...originsOf(view, lists));
    history.replaceState(null, "", `#${view.id}`);
  }
  progress();
  scrollTo(0, 0);
}

function progress() {
  const here = sheets.findIndex((sheet) => sheet.id === view?.id), done = sheets.filter((one) => one.ranked).length;
  const where = here < 0 ? "" : `sheet ${here + 1} of ${sheets.length} · `;
  get("progress").textContent = `${seen(me)}: ${where}${done} ${done === 1 ? "sheet" : "sheets"} ranked`;
  get("before").disabled = !beside(-1);
  get("after").disabled = !beside(1);
  get("next").textContent = nextSheet() ? "Next sheet" : "Finish";
}

// Changing the list

function change(newer, key) {
  if (newer === list()) return;
  past.push({ lists, at });
  future = [];
  lists = lists.map((one, n) => (n === at ? newer : one));
  warned = false;
  render();
  say(standing(newer, key));
  touched();
}

const ACTS = {
  up: (key) => step(list(), key, -1),
  down: (key) => step(list(), key, 1),
  first: (key) => put(list(), key, 0),
  last: (key) => put(list(), key, list().rows.length),
  tie: (key) => tie(list(), key),
  aside: (key) => (key === LINE ? list() : aside(list(), key)),
  keep: (key) => (key === LINE ? put(list(), LINE, list().rows.length) : lineBelow(list(), key)),
};

function act(name, key) {
  active = key;
  change(ACTS[name](key), name === "keep" ? LINE : key);
}

function unfold(key) {
  if (!open.delete(key)) open.add(key);
  active = key;
  render();
  if (unfolded.has(key)) return;
  unfolded.add(key);
  touched();
}

function grab(key) {
  const lay = grabbed === key;
  [active, grabbed, before] = [key, lay ? null : key, list()];
  render();
  say(lay ? `Laid down. ${standing(list(), key)}` : "Taken. Arrows move it, Space lays it down, Escape takes it back.");
}

function goBack(from, to, words) {
  if (!from.length) return;
  to.push({ lists, at });
  tick();
  ({ lists, at } = from.pop());
  grabbed = null;
  render();
  say(words);
  touched();
}

const undo = () => goBack(past, future, "Undone.");
const redo = () => goBack(future, past, "Done again.");

function turn(n) { // to another criterion
  tick();
  [at, active, grabbed, warned] = [n, null, null, false];
  notice("");
  render();
  scrollTo(0, 0);
  say(get("asked").textContent);
}

function onward() {
  const order = list().rows.filter((row) => row !== LINE), count = view.cards.length;
  if (order.length && rowOf(list(), LINE) < 0) {
    notice("Put the line first: what stands above it is worth keeping. If nothing is, tick the box above the button.");
    goTo(LINE);
  } else if (!warned && order.length === count && order.flat().every((key, n) => key === view.cards[n].key)) {
    warned = true;
    notice("The cards stand as they were shown. If that is your order, press the button again.");
  } else if (at + 1 < view.criteria.length) turn(at + 1);
  else submit();
}

// Showing it

const elements = new Map(), keys = new WeakMap(); // from keys to what stands on the page, and back

function made(key) {
  const how = { open: open.has(key), grabbed: grabbed === key, act, unfold };
  const box = key === LINE ? lineOf(list(), how) : cardOf(view.cards.find((card) => card.key === key), list(), how);
  elements.set(key, box);
  keys.set(box, key);
  return box;
}

function render() {
  const had = document.activeElement?.closest(".card, .line"), label = document.activeElement?.getAttribute("aria-label");
  const inside = had && had !== document.activeElement;
  elements.clear();
  get("list").replaceChildren(...rowsOf(list(), made));
  get("unjudged").replaceChildren(...list().unjudged.map((key) => {
    const row = document.createElement("li");
    row.append(made(key));
    return row;
  }));
  frame();
  if (!elements.has(active)) [active] = elements.keys();
  tabs();
  if (!had) return;
  const box = elements.get(active), same = [...box.querySelectorAll("button")].find((one) => one.ariaLabel === label);
  ((inside && same) || box).focus({ preventScroll: true });
  box.scrollIntoView({ block: "nearest" });
}

function tabs() { // Tab stops at one card and its buttons only
  for (const [key, box] of elements) {
    for (const one of [box, ...box.querySelectorAll("button")]) one.tabIndex = key === active ? 0 : -1;
  }
}

function frame() { // all but the cards
  const words = view.criteria.map(seen);
  get("field").textContent = seen(view.field);
  get("question").textContent = seen(view.question);
  get("asked").textContent = `The most ${words[at]} first.`;
  get("criteria").replaceChildren(...words.map((word, n) =>
    button(`${n + 1}. ${word}`, `Rank by ${word}`, () => turn(n), { "aria-pressed": n === at })));
  const other = at === 0 ? 1 : 0;
  get("criteria").hidden = words.length < 2;
  get("submit").textContent = at + 1 < words.length ? `Next: rank by ${words[at + 1]}` : "Submit the ranking";
  get("other").textContent = `Start from the order by ${words[other]}`;
  get("other").hidden = words.length < 2 || rowOf(lists[other], LINE) < 0; // offered once it is an order
  get("undo").disabled = !past.length;
  get("redo").disabled = !future.length;
  get("nobody").hidden = list().unjudged.length > 0;
  get("none").checked = list().rows[0] === LINE;
  get("none").disabled = !placeCount(list());
  history.replaceState(null, "", `#${view.id}/${at}`);
}

function goTo(key) {
  active = key;
  tabs();
  elements.get(key).focus();
}

// Keys

function pressed(event) {
  const command = event.ctrlKey || event.metaKey, letter = event.key.toLowerCase();
  if (get("work").hidden || over) return;
  if (command && (letter === "z" || letter === "y")) {
    event.preventDefault();
    (letter === "y" || event.shiftKey ? redo : undo)();
    return;
  }
  const box = event.target.closest(".card, .line"), key = keys.get(box);
  if (command || !elements.has(key)) return;
  const order = [...elements.keys()], here = order.indexOf(key), last = order.length - 1;
  const to = { ArrowUp: Math.max(0, here - 1), ArrowDown: Math.min(last, here + 1), Home: 0, End: last }[event.key];
  const move = { ArrowUp: "up", ArrowDown: "down", Home: "first", End: "last" }[event.key];
  const does = { t: "tie", u: "aside", "?": "aside", k: "keep" }[letter];
  if (move && (event.altKey || grabbed === key)) act(move, key);
  else if (move) goTo(order[to]);
  else if (event.altKey) return;
  else if (does) act(does, key);
  else if (letter === "f" && key !== LINE) unfold(key);
  else if (event.key === "Escape" && grabbed === key) {
    grabbed = null;
    if (list() === before) render();
    else change(before, key);
  } else if (event.key === " " && event.target === box) grab(key);
  else return;
  event.preventDefault();
}

document.addEventListener("keydown", pressed);
get("work").addEventListener("focusin", (event) => {
  const key = keys.get(event.target.closest(".card, .line"));
  if (!elements.has(key) || key === active) return;
  [active, grabbed] = [key, null];
  for (const box of document.querySelectorAll(".grabbed")) box.classList.remove("grabbed");
  tabs();
});
dragging(get("work"), (box) => keys.get(box), (key, to) => {
  if (!elements.has(key)) return; // another window's state came meanwhile
  active = key;
  if (to !== "aside") change(put(list(), key, to), key);
  else if (!list().unjudged.includes(key)) act("aside", key);
});
get("undo").addEventListener("click", undo);
get("redo").addEventListener("click", redo);
get("other").addEventListener("click", () => change(noLine(lists[at === 0 ? 1 : 0]), active));
get("none").addEventListener("change", () => {
  change(get("none").checked ? put(list(), LINE, 0) : noLine(list()), LINE);
});
get("submit").addEventListener("click", onward);
get("again").addEventListener("click", () => { at = 0; show("work"); });
get("next").addEventListener("click", () => (nextSheet() ? load(nextSheet()) : show("done")));
get("before").addEventListener("click", () => load(beside(-1)));
get("after").addEventListener("click", () => load(beside(1)));
document.addEventListener("visibilitychange", () => { tick(); if (dirty) save(); });
addEventListener("pagehide", () => { // the window closes: what was not sent yet goes on its way without it
  if (!view || over || !(dirty || saving)) return;
  fetch(`sheets/${view.id}/draft`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(sent()), keepalive: true,
  }).catch(() => {});
});
setInterval(look, ASK_EVERY);
look();
