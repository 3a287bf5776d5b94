// What Material leaves out for those who do not use a pointer, or do not see: the search has a name, and a table
// that is wider than its place can be moved with the keys.
document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
window.addEventListener("load", () => {
  for (const each of document.querySelectorAll(".md-typeset__scrollwrap"))
    if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
});
