// Before anything is painted: the theme, so that nobody sees the other one flash.
(function () {
  var chosen = null;
  try {
    chosen = localStorage.getItem('scry.theme');
  } catch (_) {
    // Nothing is remembered where storage is shut.
  }
  var dark = chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
