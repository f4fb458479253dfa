// Before anything is drawn: the theme that this reader has chosen before.
document.body.dataset.theme = localStorage.getItem("theme") || "auto";
