// Small things that have to happen in the browser: the theme, and the focus where a part is made anew.
(() => {
  const root = document.documentElement;
  const kept = localStorage.getItem("phoenix-theme");
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-switch]")) return;
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const now = root.dataset.theme || system;
    root.dataset.theme = now === "dark" ? "light" : "dark";
    localStorage.setItem("phoenix-theme", root.dataset.theme);
  });

  const nameOf = (element) => element.getAttribute("href") || element.getAttribute("aria-label");
  let last = null;
  document.addEventListener("focusin", (event) => {
    const block = event.target.closest(".live");
    last = block && nameOf(event.target) ? { block, name: nameOf(event.target) } : null;
  });
  new MutationObserver(() => {
    if (!last || document.activeElement !== document.body) return;
    const again = [...last.block.querySelectorAll("a, button, [tabindex]")];
    again.find((element) => nameOf(element) === last.name)?.focus({ preventScroll: true });
  }).observe(document, { childList: true, subtree: true });
})();
