document.getElementById("theme").onclick = () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
};
document.querySelectorAll("table.sortable th button").forEach((button) => {
  button.onclick = () => {
    const head = button.parentElement, row = head.parentElement, body = row.closest("table").tBodies[0];
    const place = [...row.children].indexOf(head), number = head.classList.contains("n");
    const down = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : number;
    [...row.children].forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (line) => number ? parseFloat(line.children[place].dataset.v ?? "NaN") : line.children[place].textContent;
    const order = (a, b) => {
      const x = key(a), y = key(b);
      if (number) return Number.isNaN(x) ? 1 : Number.isNaN(y) ? -1 : down ? y - x : x - y;
      return down ? y.localeCompare(x) : x.localeCompare(y);
    };
    body.append(...[...body.rows].sort(order));
  };
});
document.querySelectorAll("button.copy").forEach((button) => {
  button.onclick = () => {
    const range = document.createRange();
    range.selectNodeContents(button.nextElementSibling);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy");
  };
});
