<script>
// Looks at the finished page as a reader with a keyboard, a mouse or a screen reader would, and writes down what it finds.
(async () => {
  const lines = [];
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const check = (name, bad, good) => lines.push(bad.length ? `BAD ${name}: ${bad.slice(0, 5).join("; ")}` : `ok ${name} ${good}`);

  const outside = performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !name.startsWith("data:"));
  check("requests", outside, "none");

  const ids = all("[id]").map(node => node.id);
  check("ids", ids.filter((id, i) => ids.indexOf(id) !== i), `${ids.length} unique`);

  const links = all("a[href]").map(a => a.getAttribute("href"));
  const dead = links.filter(href => !(href.startsWith("#") && document.getElementById(href.slice(1))));
  const refs = all("[aria-labelledby]").flatMap(node => node.getAttribute("aria-labelledby").split(" "));
  const uses = all("svg use").map(use => use.getAttribute("href").slice(1));
  check("links", [...dead, ...[...refs, ...uses].filter(id => !document.getElementById(id))], `${links.length} lead somewhere`);

  const unnamed = all("svg.plot").filter(svg => svg.getAttribute("role") !== "img" || !svg.querySelector("title").textContent ||
    svg.querySelector("desc").textContent.length < 20).map(svg => svg.closest("figure").id);
  const bare = all("figure").filter(figure => !figure.querySelector("details table")).map(figure => figure.id + " has no table");
  check("alt", [...unnamed, ...bare], `${all("svg.plot").length} figures`);

  // WCAG contrast of every text against the nearest background: 4.5 for text.
  const parse = colour => (colour.match(/[\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length && (colour.length < 4 || colour[3] > 0)) return colour;
    }
    return [255, 255, 255];
  };
  const ratio = (a, b) => (Math.max(luminance(a), luminance(b)) + 0.05) / (Math.min(luminance(a), luminance(b)) + 0.05);
  const faint = new Set();
  for (const node of all("p,li,td,th,code,a,summary,h1,h2,h3,strong,button,svg.plot text")) {
    if (!node.textContent.trim()) continue;
    const style = getComputedStyle(node), own = node.namespaceURI.endsWith("svg") ? style.fill : style.color;
    if (node.matches("text") && style.stroke === "none") continue; // printed on a cell of the heat map
    if (ratio(parse(own), ground(node)) < 4.5) faint.add(`${node.tagName} '${node.textContent.trim().slice(0, 20)}' ${own}`);
  }
  check("contrast", [...faint], matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

  const table = all("table").find(t => t.tBodies[0].rows.length > 12);
  const heading = all("th", table).findIndex(th => /gap/.test(th.textContent));
  const column = () => [...table.tBodies[0].rows].map(row => Number(row.cells[heading].querySelector("data").value));
  all("th button", table)[heading].click();
  const up = column(), sorted = [...up].sort((a, b) => a - b);
  check("sort", up.every((v, i) => v === sorted[i]) ? [] : ["not ascending"], `${up.length} rows`);

  const input = table.closest("details, section").querySelector("input[type=search]");
  input.value = "kmeans";
  input.dispatchEvent(new Event("input"));
  const shown = [...table.tBodies[0].rows].filter(row => !row.hidden);
  check("filter", shown.length && shown.every(row => row.textContent.includes("kmeans")) ? [] : ["rows without the word"], `${shown.length} rows`);

  const button = document.querySelector(".toggles button"), name = button.textContent;
  const curve = all("figure .curve").find(g => g.dataset.curve === name);
  button.click();
  const hidden = getComputedStyle(curve).display === "none" && button.getAttribute("aria-pressed") === "false" && location.hash.includes("off=");
  button.click();
  check("toggle", hidden && getComputedStyle(curve).display !== "none" ? [] : ["curve stays"], name);

  const point = document.querySelector("svg.plot .tip"), box = point.getBoundingClientRect();
  point.closest("svg").dispatchEvent(new MouseEvent("mousemove", { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 }));
  const hint = document.getElementById("hint");
  check("hover", !hint.hidden && /^\S.*bits\/weight, D\/σ².*gap .* bit$/.test(hint.textContent) ? [] : ["no hint"], hint.textContent.slice(0, 60).replace(/</g, "&lt;"));

  // A click on a curve's name brings it forward in every figure that has it, another takes it back; both are kept in the fragment.
  const label = document.querySelector("svg.plot .label"), svg = label.closest("svg");
  const faded = () => getComputedStyle([...svg.querySelectorAll(".curve")].find(g => !g.classList.contains("on"))).opacity < 0.5;
  label.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  const forward = faded() && label.classList.contains("on") && location.hash.includes("focus=");
  label.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  check("focus", forward && !svg.classList.contains("focus") && !location.hash.includes("focus=") ? [] : ["curve not in front"], label.textContent.trim());

  // Every row near the rate that is chosen, and none else, in tables that have a rate.
  const labelled = words => all("#controls label").find(node => node.textContent.includes(words)).querySelector("select,input");
  const choose = (words, value) => { const s = labelled(words); s.value = value; s.dispatchEvent(new Event("change")); };
  input.value = "";
  input.dispatchEvent(new Event("input"));
  for (const [words, head, value, fits] of [["bits/weight", "bits/weight", "3", v => Math.abs(v - 3) <= 0.5], ["role", "role", null, null], ["layer", "layer", null, null]]) {
    const chosen = value || labelled(words).options[1].value, bad = [];
    let kept = 0;
    choose(words, chosen);
    for (const t of all("table")) {
      const at = all("th", t).findIndex(th => th.textContent.trim() === head);
      for (const row of at < 0 ? [] : t.tBodies[0].rows) {
        const cell = row.cells[at], number = cell.querySelector("data"), text = cell.textContent.trim();
        const should = fits ? !number || fits(Number(number.value)) : text === chosen;
        if (should === row.hidden) bad.push(`${text} hidden ${row.hidden}`);
        kept += !row.hidden;
      }
    }
    if (!kept || ![...new URLSearchParams(decodeURIComponent(location.hash).split("?")[1]).values()].includes(chosen)) bad.push("nothing kept");
    check("rows by " + head, bad, `${chosen}: ${kept} rows`);
    choose(words, "");
  }

  // Arrows walk a table's cells; Enter says where the number there comes from and links to its document.
  const key = (node, name) => node.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  const region = all(".scroll").find(node => !node.closest("details:not([open])") && node.querySelector("td data"));
  region.focus();
  const began = document.activeElement === region;
  key(region, "ArrowDown");
  const first = document.activeElement;
  for (let i = 0; i < 12 && !document.activeElement.querySelector("data"); i++) key(document.activeElement, "ArrowRight");
  key(document.activeElement, "Enter");
  const origin = document.getElementById("origin");
  check("keyboard", began && first.matches("td") && !origin.hidden ? [] : [`region ${began}, then ${first.tagName}, ${document.activeElement.outerHTML.slice(0, 80)}`], document.activeElement.textContent);
  key(document.activeElement, "Escape");

  const cells = all("td data[data-from]").find(d => /^\w+\/\w+\/\d+\/\w+$/.test(d.dataset.from));
  cells.click();
  const link = origin.querySelector("a");
  check("origin", / = .*\w+\[\d+\]\.\w+/.test(origin.textContent) && link && /^\w+\.json$/.test(link.getAttribute("href")) ? [] : ["silent"],
    origin.textContent.slice(0, 60));

  const sources = labelled("where numbers come from");
  sources.click();
  const reachable = all("p data[data-from],li data[data-from]");
  check("sources", reachable.length && reachable.every(d => d.tabIndex === 0 && d.getAttribute("role") === "button") ? [] : ["not in the tab order"],
    `${reachable.length} numbers`);
  sources.click();

  const nameless = all("button,select,input,[role=region],[role=group]").filter(node =>
    !(node.textContent.trim() || node.getAttribute("aria-label") || (node.labels && node.labels.length)));
  const levels = all("h1,h2,h3").map(h => Number(h.tagName[1]));
  const jumps = levels.filter((level, i) => i && level > levels[i - 1] + 1);
  const landmarks = ["main", "nav[aria-label]", "a.skip[href='#content']", "html[lang]"].filter(selector => !document.querySelector(selector));
  check("names", [...nameless.map(node => node.outerHTML.slice(0, 60)), ...jumps.map(l => "heading jumps to " + l), ...landmarks], `${levels.length} headings`);

  const pre = document.createElement("pre");
  pre.id = "probe";
  pre.textContent = "\n" + lines.join("\n") + "\n";
  document.body.append(pre);
})();
</script>
