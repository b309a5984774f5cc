// Dragging with a mouse, a finger or a pen. Pointer events, since HTML's own dragging does not know fingers; a finger
// drags by the handle only, so that the page still scrolls where it touches a card.
import { get } from "./ranking_dom.js";

const FAR = 5, EDGE = 70, SPEED = 10; // pixels: what begins a drag, where the page scrolls, how much in a frame

const middle = (box) => (box.top + box.bottom) / 2;

// Call drop(key, index), or drop(key, "aside"), for what is dragged; index counts the rows that stand without it.
export function dragging(area, keyOf, drop) {
  let held = null;

  const rows = () => [...get("list").children].filter((row) =>
    !row.classList.contains("unset") && !(row.contains(held.box) && row.querySelectorAll(".card, .line").length === 1));

  function target() {
    if (held.box.matches(".card") && held.y > get("aside").getBoundingClientRect().top) return "aside";
    return rows().filter((row) => middle(row.getBoundingClientRect()) < held.y).length;
  }

  function clear() {
    for (const one of area.querySelectorAll(".into")) one.classList.remove("into");
    get("list").classList.remove("end");
  }

  function follow() { // once a frame
    if (!held?.begun) return;
    if (held.y < EDGE) scrollBy(0, -SPEED);
    if (held.y > innerHeight - EDGE) scrollBy(0, SPEED);
    const x = held.x - held.fromX, y = held.y - held.fromY + scrollY - held.scrolled;
    held.box.style.transform = `translate(${x}px, ${y}px)`;
    clear();
    const to = target();
    if (to === "aside") get("aside").classList.add("into");
    else (rows()[to]?.classList ?? get("list").classList).add(rows()[to] ? "into" : "end");
    requestAnimationFrame(follow);
  }

  function end(dropped) {
    if (!held) return;
    const { box, key, begun } = held, to = begun && dropped ? target() : null;
    clear();
    box.classList.remove("dragged");
    box.style.transform = "";
    held = null;
    if (to !== null) drop(key, to);
  }

  area.addEventListener("pointerdown", (event) => {
    const box = event.target.closest(".card, .line"), byGrip = event.target.closest(".grip");
    if (!box || held || event.button !== 0 || event.target.closest("button, .facts")) return;
    if (!byGrip && event.pointerType !== "mouse") return;
    const { clientX: x, clientY: y } = event;
    held = { box, key: keyOf(box), id: event.pointerId, x, y, fromX: x, fromY: y, scrolled: scrollY, begun: false };
  });
  addEventListener("pointermove", (event) => {
    if (event.pointerId !== held?.id) return;
    [held.x, held.y] = [event.clientX, event.clientY];
    if (held.begun || Math.hypot(held.x - held.fromX, held.y - held.fromY) < FAR) return;
    held.begun = true;
    held.box.classList.add("dragged");
    area.setPointerCapture(event.pointerId); // the card may be drawn anew meanwhile
    follow();
  });
  addEventListener("pointerup", (event) => {
    if (event.pointerId !== held?.id) return;
    [held.x, held.y] = [event.clientX, event.clientY];
    end(true);
  });
  addEventListener("pointercancel", (event) => event.pointerId === held?.id && end(false));
  addEventListener("keydown", (event) => event.key === "Escape" && end(false));
  area.addEventListener("selectstart", (event) => held && event.preventDefault());
}
