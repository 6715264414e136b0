"use strict";
// Everything here is an addition: without it the page shows all it has. No network, no storage; state lives in the fragment,
// as in #gap?role=mlp.down_proj&off=lloyd.
(() => {
  const $ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };

  // ---- state in the fragment ----
  const [anchor, query] = decodeURIComponent(location.hash.slice(1)).split("?");
  const state = new URLSearchParams(query || "");
  let place = anchor || "";
  const remember = (key, value) => {
    if (value) state.set(key, value); else state.delete(key);
    const text = state.toString();
    history.replaceState(null, "", "#" + place + (text ? "?" + text : ""));
  };
  const off = new Set((state.get("off") || "").split("|").filter(Boolean));

  // ---- tables: sort by a click on a heading, filter by words ----
  const cellKey = (row, column) => {
    const cell = row.cells[column], number = cell.querySelector("data");
    if (number) return Number(number.value);
    const text = cell.textContent.trim();
    return text === "" || text.startsWith("–") ? null : isNaN(text.replace(/,/g, "")) ? text : Number(text.replace(/,/g, ""));
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  const sortBy = (table, column, heading) => {
    const down = heading.getAttribute("aria-sort") === "ascending";
    $("th", table).forEach(th => th.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map(row => [cellKey(row, column), row]);
    // Cells without a number stay at the end, whichever way the others go.
    keyed.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : down ? compare(b, a) : compare(a, b));
    body.append(...keyed.map(([, row]) => row));
  };
  const columnOf = (table, name) => $("th", table).findIndex(th => th.textContent.trim() === name);
  const selected = { role: state.get("role") || "", layer: state.get("layer") || "" };
  const filterTable = table => {
    const words = (table.filterInput ? table.filterInput.value : "").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      let keep = words.every(word => text.includes(word));
      for (const name of ["role", "layer"]) {
        const column = table.columns[name];
        if (selected[name] && column >= 0 && row.cells[column].textContent.trim() !== selected[name]) keep = false;
      }
      row.hidden = !keep;
      shown += keep;
    }
    if (table.filterCount) table.filterCount.textContent = `${shown} of ${table.tBodies[0].rows.length} rows`;
  };
  const tables = $("table").filter(table => table.tHead && table.tBodies.length);
  for (const table of tables) {
    table.columns = { role: columnOf(table, "role"), layer: columnOf(table, "layer") };
    $("th", table).forEach((heading, column) => {
      const button = make("button", { type: "button", title: "sort" }, ...heading.childNodes);
      button.addEventListener("click", () => sortBy(table, column, heading));
      heading.append(button);
    });
    if (table.tBodies[0].rows.length > 12) {
      const name = table.parentNode.getAttribute("aria-label");
      table.filterInput = make("input", { type: "search", placeholder: "filter rows" });
      table.filterInput.setAttribute("aria-label", "Filter rows of: " + name);
      table.filterCount = make("span");
      table.filterCount.setAttribute("aria-live", "polite");
      table.filterInput.addEventListener("input", () => filterTable(table));
      table.parentNode.before(make("div", { className: "filter" }, table.filterInput, table.filterCount));
    }
  }

  // ---- role and layer for the whole page ----
  for (const name of ["role", "layer"]) {
    const values = new Set();
    for (const table of tables)
      if (table.columns[name] >= 0)
        for (const row of table.tBodies[0].rows) {
          const text = row.cells[table.columns[name]].textContent.trim();
          if (text && !text.startsWith("–")) values.add(text);
        }
    if (values.size < 2) continue;
    const order = [...values].sort((a, b) => compare(isNaN(a) ? a : Number(a), isNaN(b) ? b : Number(b)));
    const select = make("select", {}, make("option", { value: "", textContent: "all" }),
      ...order.map(value => make("option", { value, textContent: value })));
    select.value = values.has(selected[name]) ? selected[name] : "";
    selected[name] = select.value;
    select.addEventListener("change", () => {
      selected[name] = select.value;
      remember(name, select.value);
      tables.forEach(filterTable);
    });
    document.getElementById("controls").append(make("label", {}, `rows of ${name} `, select));
  }
  tables.forEach(filterTable);

  // ---- figures: curves on and off, one in front ----
  const labelsOf = (svg, name) => $("text", svg).filter(text => text.textContent.trim() === name).map(text => text.parentNode);
  const partsOf = (svg, name) => [...$("[data-curve]", svg).filter(g => g.dataset.curve === name), ...labelsOf(svg, name)];
  const focusOn = (svg, name) => {
    svg.classList.toggle("focus", Boolean(name));
    $(".on", svg).forEach(node => node.classList.remove("on"));
    if (name) partsOf(svg, name).forEach(node => node.classList.add("on"));
  };
  for (const figure of $("figure")) {
    const svg = figure.querySelector("svg.plot");
    const names = svg ? [...new Set($(".curve", svg).map(g => g.dataset.curve))] : [];
    if (names.length < 2) continue;
    const box = make("div", { className: "toggles" });
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Curves shown");
    const show = (name, on) => partsOf(svg, name).forEach(node => node.classList.toggle("off", !on));
    for (const name of names) {
      const button = make("button", { type: "button", textContent: name });
      const press = on => {
        button.setAttribute("aria-pressed", String(on));
        show(name, on);
      };
      press(!off.has(name));
      button.addEventListener("click", () => {
        if (off.has(name)) off.delete(name); else off.add(name);
        press(!off.has(name));
        remember("off", [...off].join("|"));
      });
      for (const [event, target] of [["mouseenter", name], ["focus", name], ["mouseleave", ""], ["blur", ""]])
        button.addEventListener(event, () => focusOn(svg, target));
      box.append(button);
      labelsOf(svg, name).forEach(label => {
        label.style.cursor = "pointer";
        label.classList.add("label");
        label.addEventListener("click", () => focusOn(svg, label.classList.contains("on") && svg.classList.contains("focus") ? "" : name));
      });
    }
    figure.querySelector(".drawing").after(box);
  }

  // ---- hover: the nearest point says what it is ----
  const hint = make("div", { id: "hint", hidden: true });
  document.body.append(hint);
  for (const svg of $("svg.plot")) {
    const tips = $(".tip", svg).map(node => {
      const title = node.querySelector("title"), text = title ? title.textContent : "";
      if (title) title.remove();
      return { node, text };
    }).filter(tip => tip.text);
    if (!tips.length) continue;
    svg.addEventListener("mousemove", event => {
      let best = null, least = 18;
      for (const tip of tips) {
        if (tip.node.closest(".off")) continue;
        const box = tip.node.getBoundingClientRect();
        const dx = Math.max(box.left - event.clientX, 0, event.clientX - box.right);
        const dy = Math.max(box.top - event.clientY, 0, event.clientY - box.bottom);
        const d = Math.hypot(dx, dy) + 0.01 * Math.hypot(event.clientX - box.x - box.width / 2, event.clientY - box.y - box.height / 2);
        if (d < least) [best, least] = [tip, d];
      }
      hint.hidden = !best;
      if (!best) return;
      hint.textContent = best.text;
      hint.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - hint.offsetWidth - 8)) + "px";
      hint.style.top = Math.max(4, event.clientY - hint.offsetHeight - 10) + "px";
    });
    svg.addEventListener("mouseleave", () => { hint.hidden = true; });
  }

  // ---- a number says which document row it comes from ----
  const origin = make("div", { id: "origin", hidden: true });
  origin.setAttribute("role", "status");
  document.body.append(origin);
  const ask = number => {
    $("data.asked").forEach(node => node.classList.remove("asked"));
    origin.hidden = !number;
    if (!number) return;
    number.classList.add("asked");
    const parts = number.dataset.from.split(" ").map(part => part.replace(/^([\w#]+)\/(\w+)\/(\d+)\/(\w+)$/, "$1.json $2[$3].$4"));
    origin.textContent = `${number.value} = ${parts.join(" ")}`;
  };
  document.addEventListener("click", event => ask(event.target.closest("data[data-from]")));
  document.addEventListener("keydown", event => {
    if (event.key === "Escape") {
      ask(null);
      hint.hidden = true;
      $("svg.plot").forEach(svg => focusOn(svg, ""));
    }
  });

  // ---- anchors keep the state ----
  document.addEventListener("click", event => {
    const link = event.target.closest('a[href^="#"]');
    if (!link) return;
    place = link.getAttribute("href").slice(1);
    setTimeout(() => remember("", ""), 0);
  });
  if (query && place && document.getElementById(place)) document.getElementById(place).scrollIntoView();
})();
