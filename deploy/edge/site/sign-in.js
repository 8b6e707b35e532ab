// Signs in and goes on to the page that asked for it. The gateway keeps the sign-in in cookies that no script reads.
"use strict";

const form = document.getElementById("sign-in");
const said = form.querySelector("output");

function wanted() {
  const asked = new URLSearchParams(location.search).get("next") || "/";
  const target = new URL(asked, location.origin);
  // The whole address: a path such as /.//elsewhere.example becomes //elsewhere.example, which is another site.
  return target.origin === location.origin ? target.href : new URL("/", location.origin).href;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  said.textContent = "…";
  const body = JSON.stringify(Object.fromEntries(new FormData(form)));
  try {
    const answer = await fetch("/auth/session", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    const found = await answer.json();
    if (answer.ok) {
      said.textContent = `${found.name} (${found.role})`;
      if (new URL(wanted()).pathname !== "/") location.assign(wanted());
    } else {
      said.textContent = found.errors[0].reason;
    }
  } catch {
    said.textContent = "No answer; try again. · Pas de réponse, réessayez.";
  }
});
