// A list while it is ordered, without a page: rows, best first, and what cannot be judged. A row is an array of the keys
// that are tied there, or LINE, above which all is worth keeping. Nothing is changed in place: each act returns a new
// list, or the same one where it changes nothing, so that undoing is going back to an earlier one.

export const LINE = "line";

export const fresh = (keys) => ({ rows: keys.map((key) => [key]), unjudged: [] });

export function ofMarks(marks) {
  const rows = marks.order.map((place) => [...place]);
  if (marks.accepted !== null) rows.splice(marks.accepted, 0, LINE);
  return { rows, unjudged: [...marks.unjudged] };
}

export function toMarks(list, criterion, seconds) {
  const line = list.rows.indexOf(LINE);
  return {
    criterion,
    order: list.rows.filter((row) => row !== LINE),
    unjudged: list.unjudged,
    accepted: line < 0 ? null : line, // all rows before it are places
    seconds,
  };
}

export const rowOf = (list, key) =>
  list.rows.findIndex((row) => (key === LINE ? row === LINE : row !== LINE && row.includes(key)));

export const placeOf = (list, key) =>
  list.rows.filter((row) => row !== LINE).findIndex((row) => row.includes(key)) + 1;

export const placeCount = (list) => list.rows.filter((row) => row !== LINE).length;

function without(list, key) {
  const unjudged = list.unjudged.filter((one) => one !== key);
  if (key === LINE) return { rows: list.rows.filter((row) => row !== LINE), unjudged };
  const rows = list.rows.map((row) => (row === LINE ? row : row.filter((one) => one !== key)));
  return { rows: rows.filter((row) => row.length > 0), unjudged };
}

// Put a card, or the line, before the row that is number `index` once it is taken out.
export function put(list, key, index) {
  const rest = without(list, key);
  const rows = [...rest.rows];
  rows.splice(Math.max(0, Math.min(index, rows.length)), 0, key === LINE ? LINE : [key]);
  return { rows, unjudged: rest.unjudged };
}

// One step up (-1) or down (+1): out of a tie first, then past a whole row.
export function step(list, key, by) {
  const at = rowOf(list, key);
  if (at < 0) {
    if (key === LINE) return put(list, key, by < 0 ? list.rows.length - 1 : list.rows.length);
    return by < 0 ? put(list, key, list.rows.length) : list;
  }
  if (key !== LINE && list.rows[at].length > 1) return put(list, key, by < 0 ? at : at + 1);
  const to = at + by;
  return to < 0 || to >= list.rows.length ? list : put(list, key, to);
}

// Tie a card with the place above; one that is tied stands by itself again, just below.
export function tie(list, key) {
  const at = rowOf(list, key);
  if (at < 0) return list;
  if (list.rows[at].length > 1) return put(list, key, at + 1);
  let above = at - 1;
  if (list.rows[above] === LINE) above -= 1;
  if (above < 0) return list;
  const rows = list.rows.map((row, number) => (number === above ? [...row, key] : row));
  return { rows: rows.filter((_, number) => number !== at), unjudged: list.unjudged };
}

// Set a card aside as one that cannot be judged, or take it back to the end of the list.
export function aside(list, key) {
  if (list.unjudged.includes(key)) return put(list, key, list.rows.length);
  const rest = without(list, key);
  return { rows: rest.rows, unjudged: [...rest.unjudged, key] };
}

export function lineBelow(list, key) {
  const rest = without(list, LINE);
  const at = rowOf(rest, key);
  return at < 0 ? list : put(list, LINE, at + 1);
}

export const noLine = (list) => without(list, LINE);
