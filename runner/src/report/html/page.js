"use strict";
// The page is complete without this script: it filters the table of calls and opens what a link leads to.
(() => {
  const byId = (id) => document.getElementById(id);

  const open = () => {
    let target = null;
    try {
      target = byId(decodeURIComponent(location.hash.slice(1)));
    } catch {
      return;
    }
    for (let element = target; element; element = element.parentElement) {
      if (element.tagName === "DETAILS") element.open = true;
    }
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  if (location.hash) open();

  const form = byId("filters");
  if (!form) return;
  const stage = byId("of-stage"), text = byId("of-text"), writes = byId("only-writes"), failed = byId("only-failed");
  const matching = byId("matching");
  const rows = Array.from(document.querySelectorAll("table.calls > tbody > tr"));
  let texts = null;

  const filter = () => {
    const words = text.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && !texts) texts = rows.map((row) => row.textContent.toLowerCase());
    let shown = 0;
    rows.forEach((row, index) => {
      const show = (!stage.value || row.dataset.stage === stage.value)
        && (!writes.checked || row.classList.contains("w"))
        && (!failed.checked || row.classList.contains("f"))
        && words.every((word) => texts[index].includes(word));
      row.hidden = !show;
      if (show) shown += 1;
    });
    matching.value = shown === rows.length ? `${rows.length} calls` : `${shown} of ${rows.length} calls`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  // A link to one call must not lead to a row that is hidden.
  addEventListener("hashchange", () => {
    const target = /^#c\d+$/.test(location.hash) && byId(location.hash.slice(1));
    if (target && target.hidden) {
      form.reset();
      filter();
      target.scrollIntoView();
    }
  });
  for (const link of document.querySelectorAll("a.calls-of")) {
    link.addEventListener("click", () => {
      form.reset();
      stage.value = link.dataset.stage;
      filter();
    });
  }
  form.hidden = false;
  filter();
})();
