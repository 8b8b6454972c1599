/* Countdowns, the live table and conditional questions. Every page says the same without this script, only less freshly. */
"use strict";
(function () {
  const body = document.body;
  const REFRESH = 5000;

  /* The server's clock counts, not the reader's: a demo's or a replay's time is not the wall's. */
  let offset = Number(body.dataset.now || 0) - Date.now();
  const fill = (pattern, values) => pattern.replace(/\{(\w*)\}/g, (_, name) => values[name]);

  function span(seconds) {
    const minutes = Math.floor(Math.abs(seconds) / 60), d = Math.floor(minutes / 1440), h = Math.floor(minutes / 60) % 24, m = minutes % 60;
    if (d) { return fill(body.dataset.days, { d: d, h: h }); }
    return h ? fill(body.dataset.hours, { h: h, m: m }) : fill(body.dataset.minutes, { m: m });
  }

  function count() {
    const now = Date.now() + offset;
    for (const one of document.querySelectorAll("time[data-due]")) {
      const left = (Number(one.dataset.due) - now) / 1000;
      one.textContent = fill(left < 0 ? body.dataset.overdue : body.dataset.left, { "": span(left) });
      one.closest(".due").classList.toggle("overdue", left < 0);
    }
  }

  const live = () => document.getElementById("live");
  const pause = document.getElementById("pause");
  let paused = false;

  async function refresh() {
    if (paused || document.hidden || !live()) { return; }
    let answer;
    try {
      answer = await fetch("/live" + location.search, { headers: { Accept: "text/html" } });
    } catch (error) {
      return; /* the server is away for a moment: the next turn asks again, the countdowns go on */
    }
    if (answer.status === 401) { location.reload(); return; }
    if (!answer.ok || paused) { return; }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
    if (!fresh) { return; }
    const focused = document.activeElement && document.activeElement.id;
    live().replaceWith(document.adoptNode(fresh));
    offset = Number(fresh.dataset.now) - Date.now();
    if (focused && document.getElementById(focused)) { document.getElementById(focused).focus({ preventScroll: true }); }
    count();
  }

  /* A question that depends on another is shown, and sent, only where it is asked. */
  function ask(form) {
    for (const question of form.querySelectorAll("[data-when]")) {
      const control = form.elements[question.dataset.when];
      const asked = Boolean(control) && question.dataset.values.split(" ").includes(control.value);
      question.hidden = !asked;
      for (const field of question.querySelectorAll("input, select, textarea")) { field.disabled = !asked; }
    }
  }

  for (const form of document.querySelectorAll("form.answer")) {
    ask(form);
    form.addEventListener("change", () => ask(form));
    form.addEventListener("submit", () => { for (const button of form.querySelectorAll("button")) { button.disabled = true; } });
  }
  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => { paused = !paused; pause.setAttribute("aria-pressed", String(paused)); });
  }
  count();
  setInterval(count, 1000);
  if (live()) { setInterval(refresh, REFRESH); }
}());
