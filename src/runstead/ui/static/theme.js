// Before anything is painted: the theme that this browser's reader chose, if any. Otherwise the system's.
"use strict";
try {
  const chosen = localStorage.getItem("runstead.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is closed to this page: the system's theme it is.
}
