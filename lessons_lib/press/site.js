const box = document.getElementById("find"), found = document.getElementById("found");
box.addEventListener("input", () => {
  const words = box.value.toLowerCase().split(/\s+/).filter(w => w.length > 1);
  found.replaceChildren();
  if (!words.length) return;
  const hits = SECTIONS.map(s => [words.every(w => s.text.includes(w)), words.filter(w => s.title.toLowerCase().includes(w)).length, s])
    .filter(h => h[0]).sort((a, b) => b[1] - a[1]).slice(0, 20);
  for (const [, , s] of hits) {
    const item = document.createElement("li"), link = document.createElement("a");
    link.href = s.page + ".html#" + s.id; link.textContent = s.lesson + ": " + s.title;
    item.append(link); found.append(item);
  }
  document.getElementById("count").textContent = hits.length ? hits.length + " sections" : "nothing found";
});
