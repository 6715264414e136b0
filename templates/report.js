"use strict";
// Everything here is an addition: without it the page shows all it has. No network, no storage; state lives in the fragment,
// as in #gap?role=mlp.down_proj&rate=4&off=lloyd&focus=nf4&sort=3.5d&find=3.kmeans.
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
  const listOf = key => (state.get(key) || "").split("|").filter(Boolean);
  const off = new Set(listOf("off"));
  // What is remembered of single tables, "NUMBER.VALUE|…" by their number on the page.
  const ofTables = key => new Map(listOf(key).map(item => [Number(item.split(".")[0]), item.slice(item.indexOf(".") + 1)]));
  const sorts = ofTables("sort"), finds = ofTables("find");
  const rememberTables = (key, map) => remember(key, [...map].filter(([, value]) => value).map(([i, value]) => `${i}.${value}`).join("|"));

  // ---- tables: sort by a click on a heading, filter by words ----
  const cellKey = (row, column) => {
    const cell = row.cells[column], number = cell.querySelector("data");
    if (number) return Number(number.value);
    const text = cell.textContent.trim();
    return text === "" || text.startsWith("–") ? null : isNaN(text.replace(/,/g, "")) ? text : Number(text.replace(/,/g, ""));
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  const sortBy = (table, column, down) => {
    const heading = table.tHead.rows[0].cells[column];
    $("th", table).forEach(th => th.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map(row => [cellKey(row, column), row]);
    // Cells without a number stay at the end, whichever way the others go.
    keyed.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : down ? compare(b, a) : compare(a, b));
    body.append(...keyed.map(([, row]) => row));
  };
  const columnOf = (table, name) => $("th", table).findIndex(th => th.dataset.column === name);
  const selected = { role: state.get("role") || "", layer: state.get("layer") || "", rate: state.get("rate") || "" };
  const rateOf = (table, row) => cellKey(row, table.columns.rate);
  const isNear = (rate, chosen) => typeof rate !== "number" || Math.abs(rate - chosen) <= 0.5;
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
      if (selected.rate && table.columns.rate >= 0 && !isNear(rateOf(table, row), Number(selected.rate))) keep = false;
      row.hidden = !keep;
      shown += keep;
    }
    if (table.filterCount) table.filterCount.textContent = `${shown} of ${table.tBodies[0].rows.length} rows`;
  };
  const tables = $("table").filter(table => table.tHead && table.tBodies.length);
  tables.forEach((table, number) => {
    table.columns = { role: columnOf(table, "role"), layer: columnOf(table, "layer"), rate: columnOf(table, "rate") };
    $("th", table).forEach((heading, column) => {
      const button = make("button", { type: "button", title: "sort" }, ...heading.childNodes);
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        sortBy(table, column, down);
        sorts.set(number, column + (down ? "d" : "a"));
        rememberTables("sort", sorts);
      });
      heading.append(button);
    });
    const sorted = sorts.get(number);
    if (sorted && parseInt(sorted, 10) < table.tHead.rows[0].cells.length) sortBy(table, parseInt(sorted, 10), sorted.endsWith("d"));
    if (table.tBodies[0].rows.length > 12) {
      const name = table.parentNode.getAttribute("aria-label");
      table.filterInput = make("input", { type: "search", placeholder: "filter rows" });
      table.filterInput.setAttribute("aria-label", "Filter rows of: " + name);
      table.filterCount = make("span");
      table.filterCount.setAttribute("aria-live", "polite");
      table.filterInput.value = finds.get(number) || "";
      table.filterInput.addEventListener("input", () => {
        filterTable(table);
        finds.set(number, table.filterInput.value.replace(/\|/g, " "));
        rememberTables("find", finds);
      });
      table.parentNode.before(make("div", { className: "filter" }, table.filterInput, table.filterCount));
    }
  });

  // ---- role, layer and rate for the whole page ----
  const chooser = (name, words, order) => {
    const select = make("select", {}, make("option", { value: "", textContent: "all" }),
      ...order.map(value => make("option", { value, textContent: value })));
    select.value = order.includes(selected[name]) ? selected[name] : "";
    selected[name] = select.value;
    select.addEventListener("change", () => {
      selected[name] = select.value;
      remember(name, select.value);
      tables.forEach(filterTable);
      if (name === "role") focusAll();
    });
    document.getElementById("controls").append(make("label", {}, words, select));
  };
  for (const name of ["role", "layer"]) {
    const values = new Set();
    for (const table of tables)
      if (table.columns[name] >= 0)
        for (const row of table.tBodies[0].rows) {
          const text = row.cells[table.columns[name]].textContent.trim();
          if (text && !text.startsWith("–")) values.add(text);
        }
    if (values.size < 2) continue;
    chooser(name, `rows of ${name} `, [...values].sort((a, b) => compare(isNaN(a) ? a : Number(a), isNaN(b) ? b : Number(b))));
  }
  const rates = tables.filter(table => table.columns.rate >= 0).flatMap(table => [...table.tBodies[0].rows].map(row => rateOf(table, row)));
  const widths = ["1", "2", "3", "4", "5", "6", "8"].filter(width => rates.some(rate => typeof rate === "number" && isNear(rate, Number(width))));
  if (widths.length > 1) chooser("rate", "rows near, in bits/weight, ", widths);
  tables.forEach(filterTable);

  // ---- figures: curves on and off, one in front ----
  const labelsOf = (svg, name) => $("text", svg).filter(text => text.textContent.trim() === name).map(text => text.parentNode);
  const partsOf = (svg, name) => [...$("[data-curve]", svg).filter(g => g.dataset.curve === name), ...labelsOf(svg, name)];
  const focusOn = (svg, name) => {
    svg.classList.toggle("focus", Boolean(name));
    $(".on", svg).forEach(node => node.classList.remove("on"));
    if (name) partsOf(svg, name).forEach(node => node.classList.add("on"));
  };
  // The curve in front, in every figure that has it: the role that is chosen, else the one whose name was clicked.
  let focused = state.get("focus") || "";
  const inFront = svg => [selected.role, focused].find(name => name && partsOf(svg, name).length) || "";
  const focusAll = () => $("figure svg.plot").forEach(svg => focusOn(svg, inFront(svg)));
  const bringForward = name => {
    focused = focused === name ? "" : name;
    remember("focus", focused);
    focusAll();
  };
  for (const figure of $("figure")) {
    const svg = figure.querySelector("svg.plot");
    const names = svg ? [...new Set($(".curve", svg).map(g => g.dataset.curve))] : [];
    if (names.length < 2) continue;
    // Named curves first; the faint ones fold away when there are many.
    const box = make("div", { className: "toggles" }), rest = make("details", { className: "toggles" }, make("summary", {}));
    const isNamed = name => labelsOf(svg, name).length > 0 || names.length <= 10;
    for (const group of [box, rest]) {
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", "Curves shown");
    }
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
        button.addEventListener(event, () => focusOn(svg, target || inFront(svg)));
      (isNamed(name) ? box : rest).append(button);
      labelsOf(svg, name).forEach(label => {
        label.style.cursor = "pointer";
        label.classList.add("label");
        label.addEventListener("click", () => bringForward(name));
      });
    }
    const faint = names.filter(name => !isNamed(name)).length;
    rest.firstChild.textContent = `${faint} more curves`;
    figure.querySelector(".drawing").after(box, ...(faint ? [rest] : []));
  }
  focusAll();

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
    origin.replaceChildren(`${number.value} = `);
    // label/section/row/field: a cell of a document, which lies beside the page; anything else is said as it is.
    for (const part of number.dataset.from.split(" ")) {
      const cell = part.match(/^([\w#]+)\/(\w+)\/(\d+)\/(\w+)$/), file = cell && files.get(cell[1]);
      origin.append(...(cell ? [file ? make("a", { href: encodeURI(file), textContent: file }) : cell[1], ` ${cell[2]}[${cell[3]}].${cell[4]} `]
        : [decodeURIComponent(part.replace(/%(?![0-9A-F]{2})/g, "%25")) + " "]));
    }
  };
  // Labels of documents as docset.h makes them: the kind, and #2 and so on for the next of the same kind.
  const files = new Map();
  const manifest = document.querySelector('meta[name="bitgap-page"]');
  for (const made of JSON.parse((manifest && manifest.content) || "{}").documents || []) files.set(made.label, made.file);
  document.addEventListener("click", event => {
    if (!event.target.closest("#origin")) ask(event.target.closest("data[data-from]"));
  });
  document.addEventListener("keydown", event => {
    if (event.key === "Escape") {
      ask(null);
      hint.hidden = true;
      if (focused) bringForward(focused);
    } else if (event.key === "Enter" && event.target.matches("data[data-from]")) {
      ask(event.target);
    }
  });

  // ---- keyboard: arrows walk the cells of a table, Enter asks; numbers in sentences join the tab order when wished ----
  const visible = table => [table.tHead.rows[0], ...table.tBodies[0].rows].filter(row => !row.hidden);
  for (const table of tables)
    table.parentNode.addEventListener("keydown", event => {
      const step = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key];
      const here = event.target.closest("td,th"), rows = visible(table);
      if (event.key === "Enter" && here && here.matches("td")) ask(here.querySelector("data[data-from]"));
      if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
      const row = here ? rows.indexOf(here.parentNode) + step[0] : 1, column = here ? here.cellIndex + step[1] : 0;
      const cell = rows[row] && rows[row].cells[column];
      if (!cell) return;
      event.preventDefault();
      const target = cell.querySelector("button") || cell;
      if (target === cell) cell.tabIndex = -1;
      target.focus();
    });
  const inText = $("p data[data-from],li data[data-from]");
  const reveal = on => {
    document.body.classList.toggle("sources", on);
    for (const number of inText) {
      if (on) number.tabIndex = 0; else number.removeAttribute("tabindex");
      if (on) number.setAttribute("role", "button"); else number.removeAttribute("role");
    }
  };
  if (inText.length) {
    const box = make("input", { type: "checkbox", checked: state.has("sources") });
    box.addEventListener("change", () => {
      reveal(box.checked);
      remember("sources", box.checked ? "1" : "");
    });
    document.getElementById("controls").append(make("label", {}, box, " show where numbers come from"));
    reveal(box.checked);
  }

  // ---- anchors keep the state ----
  document.addEventListener("click", event => {
    const link = event.target.closest('a[href^="#"]');
    if (!link) return;
    place = link.getAttribute("href").slice(1);
    setTimeout(() => remember("", ""), 0);
  });
  if (query && place && document.getElementById(place)) document.getElementById(place).scrollIntoView();
})();
