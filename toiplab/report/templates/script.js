// A line runs over each spectrum as its sound plays; a click in the spectrum moves it.
for (const spectrum of document.querySelectorAll(".spectrum")) {
  const audio = spectrum.parentElement.querySelector("audio"), line = spectrum.querySelector("i");
  const seconds = Number(spectrum.dataset.seconds);
  audio.ontimeupdate = () => { line.style.left = 100 * audio.currentTime / seconds + "%"; };
  spectrum.onclick = event => {
    audio.currentTime = seconds * event.offsetX / spectrum.clientWidth;
    audio.play();
  };
}
// A link to a call opens it; on paper all are open.
const open = () => document.querySelector("details:target")?.setAttribute("open", "");
addEventListener("hashchange", open);
open();
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(d => d.open = true));
