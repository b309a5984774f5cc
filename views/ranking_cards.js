// What is to be seen of a sheet: its cards, the line, and where they came from once it is ranked.
import { LINE, placeCount, placeOf, rowOf } from "./ranking_list.js";
import { button, el, said, seen } from "./ranking_dom.js";

const CHOSEN = {
  best: "it was promising", spread: "to cover strength and novelty", random: "by lot", repeat: "to be judged again",
  given: "it was given",
};

// Where a card, or the line, stands, in words.
export function standing(list, key) {
  const count = placeCount(list);
  if (key === LINE) {
    const above = rowOf(list, LINE);
    return above < 0 ? "The line is not put yet." : `The line: ${above} of ${count} places are worth keeping.`;
  }
  if (list.unjudged.includes(key)) return "Set aside: cannot judge.";
  const tied = list.rows[rowOf(list, key)].length - 1;
  return `Place ${placeOf(list, key)} of ${count}${tied ? `, tied with ${tied} more` : ""}.`;
}

const grip = () => el("span", { class: "grip", "aria-hidden": "true" }, "⠿");

export function cardOf(card, list, { open, grabbed, act, unfold }) {
  const { key } = card, aside = list.unjudged.includes(key);
  const made = el("div", {
    class: `card${grabbed ? " grabbed" : ""}`, role: "group", "aria-roledescription": "card",
    "aria-label": `${standing(list, key)} ${seen(card.text).slice(0, 300)}`,
  });
  const top = el("div", { class: "top" }), acts = el("div", { class: "acts" });
  top.append(grip(), said("div", card.text));
  if (!aside) {
    const tied = list.rows[rowOf(list, key)].length > 1;
    acts.append(
      button("↑", "Move up", () => act("up", key)),
      button("↓", "Move down", () => act("down", key)),
      button("=", "Tie with the card above", () => act("tie", key), { "aria-pressed": tied }),
    );
  }
  acts.append(button("?", "Cannot judge", () => act("aside", key), { "aria-pressed": aside }));
  made.append(top, acts);
  if (card.evidence.length) {
    acts.append(button("facts", "Facts that fired", () => unfold(key), { "aria-expanded": open }));
    const facts = el("ul", { class: "facts" });
    facts.hidden = !open;
    facts.append(...card.evidence.map((fact) => said("li", fact)));
    made.append(facts);
  }
  return made;
}

export function lineOf(list, { grabbed, act }) {
  const put = rowOf(list, LINE) >= 0;
  const words = put ? "↑ worth keeping · not worth keeping ↓" : "Put this line: what stands above it is worth keeping";
  const made = el("div", {
    class: `line${put ? "" : " unset"}${grabbed ? " grabbed" : ""}`, role: "group", "aria-roledescription": "line",
    "aria-label": `${standing(list, LINE)} ${words}`,
  });
  made.append(grip(), el("span", { class: "words" }, words));
  if (!put) made.append(button("put it here", "All are worth keeping", () => act("keep", LINE)));
  made.append(
    button("↑", "Move the line up", () => act("up", LINE)),
    button("↓", "Move the line down", () => act("down", LINE)),
  );
  return made;
}

// The rows of the list as elements; `make` turns a key into a card or the line.
export function rowsOf(list, make) {
  let place = 0;
  const rows = list.rows.map((row) => {
    const made = el("li", { class: row !== LINE && row.length > 1 ? "row tied" : "row" });
    const cards = el("div", { class: "cards" });
    cards.append(...(row === LINE ? [make(LINE)] : row.map(make)));
    made.append(el("span", { class: "place" }, row === LINE ? "" : `${(place += 1)}.`), cards);
    return made;
  });
  if (place && rowOf(list, LINE) < 0) {
    const made = el("li", { class: "row unset" });
    made.append(el("span", { class: "place" }), make(LINE));
    rows.push(made);
  }
  return rows;
}

// Where the cards of a ranked sheet came from, in the order of the first list.
export function originsOf(view, lists) {
  const pair = (name, value) => [said("dt", name), said("dd", `${value}`)];
  const order = [...lists[0].rows.filter((row) => row !== LINE).flat(), ...lists[0].unjudged];
  return order.map((key) => {
    const card = view.cards.find((one) => one.key === key), made = el("article"), told = el("dl");
    view.criteria.forEach((criterion, n) => {
      const place = placeOf(lists[n], key);
      told.append(...pair(criterion, place ? `place ${place} of ${placeCount(lists[n])}` : "could not judge"));
    });
    told.append(
      ...pair("made", card.made || "not known"), ...pair("weights", `version ${card.weights_version}`),
      ...pair("shown because", CHOSEN[card.chosen]), ...pair("strength", card.strength.toFixed(3)),
      ...pair("novelty", card.novelty.toFixed(3)),
    );
    made.append(said("p", card.text), told);
    return made;
  });
}
