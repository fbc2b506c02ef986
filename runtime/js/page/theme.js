/** Light or dark before anything is drawn: what was chosen here last, otherwise what the system prefers. */
{
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {} // storage may be forbidden
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  if (chosen) document.documentElement.dataset.chosen = "";
}
