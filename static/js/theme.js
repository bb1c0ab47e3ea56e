// Follows the system's light or dark setting; loaded before the page is drawn, so nothing flashes.
(function () {
  "use strict";
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function apply() {
    document.documentElement.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
  }
  dark.addEventListener("change", apply);
  apply();
})();
