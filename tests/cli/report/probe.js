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
  check("hover", !hint.hidden && /bit/.test(hint.textContent) ? [] : ["no hint"], hint.textContent.slice(0, 60).replace(/</g, "&lt;"));

  document.querySelector("td data[data-from]").click();
  const origin = document.getElementById("origin").textContent;
  check("origin", /=/.test(origin) ? [] : ["silent"], origin.slice(0, 60));

  const pre = document.createElement("pre");
  pre.id = "probe";
  pre.textContent = "\n" + lines.join("\n") + "\n";
  document.body.append(pre);
})();
</script>
