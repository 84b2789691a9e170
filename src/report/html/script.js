"use strict";
(() => {
  const get = (id) => document.getElementById(id);
  const form = get("filter");
  const items = [...document.querySelectorAll("[data-search]")].map((element) => ({
    element,
    text: element.dataset.search.toLowerCase(),
    kind: element.closest("article, tr, li").tagName,
  }));
  const fits = (element, name, wanted) => !wanted || !(name in element.dataset) || element.dataset[name] === wanted;

  function filter() {
    const words = get("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const [level, check, verdict] = ["level", "check", "verdict"].map((id) => get(id).value);
    const deviating = get("deviating").checked;
    let findings = 0;
    let all = 0;
    for (const { element, text } of items) {
      const shown =
        words.every((word) => text.includes(word)) &&
        fits(element, "level", level) &&
        fits(element, "check", check) &&
        fits(element, "verdict", verdict) &&
        !(deviating && "group" in element.dataset && !("deviates" in element.dataset));
      element.hidden = !shown;
      if (element.tagName === "ARTICLE") {
        all += 1;
        findings += shown ? 1 : 0;
      }
    }
    const narrowed = words.length > 0 || level || check || verdict || deviating;
    get("shown").textContent = narrowed ? `${findings} of ${all} findings shown; tables and lists follow the filter.` : "";
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));

  // A page that was opened as a file may have no clipboard.
  async function copy(text) {
    if (navigator.clipboard) {
      try {
        return await navigator.clipboard.writeText(text);
      } catch {
        // Not allowed here: the old way follows.
      }
    }
    const area = document.createElement("textarea");
    area.value = text;
    area.setAttribute("aria-hidden", "true");
    area.style.cssText = "position: fixed; opacity: 0";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const label = button.textContent;
    await copy(get(button.dataset.copy).textContent);
    button.focus();
    button.textContent = "Copied";
    button.classList.add("done");
    get("shown").textContent = "Copied to the clipboard.";
    setTimeout(() => {
      button.textContent = label;
      button.classList.remove("done");
    }, 1500);
  });

  // A link to a finding that is filtered out shows it again.
  addEventListener("hashchange", () => {
    const target = get(location.hash.slice(1));
    if (target?.hidden) {
      form.reset();
      setTimeout(() => target.scrollIntoView());
    }
  });
})();
