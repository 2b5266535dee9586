// The cards, the search and the form: asks the API and shows what it says.

import { $, element } from "./dom.js";

const PAGE = 24;
const state = { q: "", tag: "", shown: 0, total: 0, asking: null, fresh: null };

/** Asks the API. Throws an Error with a sentence for people; `fields` holds problems by field. */
async function ask(path, options = {}) {
  let reply;
  try {
    reply = await fetch(`api/${path}`, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The API can't be reached. Is the connection gone?");
  }
  const body = await reply.json().catch(() => null);
  if (reply.ok && body !== null) return body;
  const error = new Error(
    reply.status === 503 || reply.status === 502 || reply.status === 504
      ? "The API or its database is starting or away. Try again in a moment."
      : typeof body?.detail === "string"
        ? `The API says: ${body.detail}.`
        : reply.status === 422
          ? "Something is not as the API wants it."
          : `The API answered with status ${reply.status}.`,
  );
  error.fields = Array.isArray(body?.detail)
    ? Object.fromEntries(body.detail.map((each) => [each.loc[1], each.msg]))
    : {};
  if (reply.status === 409) error.fields.title = body.detail;
  throw error;
}

function card(project) {
  const made = $("card").content.firstElementChild.cloneNode(true);
  made.dataset.project = project.id;
  made.querySelector("h2").textContent = project.title;
  made.classList.toggle("new", project.id === state.fresh);
  const pieces = project.snippet?.some((piece) => piece.match)
    ? project.snippet
    : [{ text: project.summary, match: false }];
  made.querySelector(".summary").append(
    ...pieces.map((piece) => (piece.match ? element("mark", piece.text) : piece.text)),
  );
  made.querySelector(".chips").append(
    ...project.tags.map((tag) => {
      const item = document.createElement("li");
      item.append(
        element("button", tag, { type: "button", ariaLabel: `Only ${tag}`, onclick: () => pick(tag) }),
      );
      return item;
    }),
  );
  const time = made.querySelector("time");
  time.dateTime = project.created_at;
  time.textContent = new Date(project.created_at).toLocaleDateString(undefined, { dateStyle: "medium" });
  const link = made.querySelector(".link");
  if (/^https?:/.test(project.url ?? "")) link.href = project.url;
  else link.remove();
  return made;
}

function notice(title, text, button, action) {
  $("notice").hidden = !title;
  if (!title) return;
  $("notice-title").textContent = title;
  $("notice-text").textContent = text;
  $("notice-button").textContent = button;
  $("notice-button").onclick = action;
}

async function load({ more = false } = {}) {
  state.asking?.abort();
  const asking = (state.asking = new AbortController());
  const grid = $("grid");
  grid.ariaBusy = "true";
  const offset = more ? state.shown : 0;
  const words = new URLSearchParams({ limit: PAGE, offset });
  if (state.q) words.set("q", state.q);
  if (state.tag) words.set("tag", state.tag);
  try {
    const found = await ask(`projects?${words}`, { signal: asking.signal });
    if (!more) grid.replaceChildren();
    grid.append(...found.projects.map(card));
    state.shown = grid.children.length;
    state.total = found.total;
    $("count").textContent = found.total === 1 ? "1 project" : `${found.total} projects`;
    $("more").hidden = state.shown >= state.total;
    if (found.total > 0) notice("");
    else if (state.q || state.tag)
      notice("Nothing found", "No project fits. Other words, or fewer of them?", "Show all", clear);
    else
      notice("Nothing here yet", "The first project is yours.", "Add one", () => $("title").focus());
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!more) grid.replaceChildren();
    $("count").textContent = "";
    $("more").hidden = true;
    notice("That didn't work", error.message, "Try again", () => load());
  }
  grid.ariaBusy = "false";
}

async function loadTags() {
  try {
    const tags = await ask("tags");
    $("tags").replaceChildren(
      ...tags.slice(0, 10).map(({ tag, projects }) =>
        element("button", `${tag} ${projects}`, {
          type: "button",
          ariaPressed: String(tag === state.tag),
          ariaLabel: `${tag}, ${projects === 1 ? "1 project" : `${projects} projects`}`,
          onclick: () => pick(tag),
        }),
      ),
    );
  } catch {
    $("tags").replaceChildren(); // the grid tells what is wrong
  }
}

function remember() {
  const words = new URLSearchParams();
  if (state.q) words.set("q", state.q);
  if (state.tag) words.set("tag", state.tag);
  history.replaceState(null, "", words.size ? `?${words}` : location.pathname);
}

function show() {
  remember();
  return Promise.all([load(), loadTags()]);
}

function pick(tag) {
  state.tag = state.tag === tag ? "" : tag;
  show();
}

function clear() {
  state.q = state.tag = $("q").value = "";
  show();
}

function problems(fields) {
  for (const name of ["title", "summary", "url", "tags"]) {
    const input = $("add").elements[name];
    $(`${name}-problem`).textContent = fields[name] ?? "";
    input.ariaInvalid = String(name in fields);
    input.setAttribute("aria-describedby", `${name}-problem`);
  }
  const first = Object.keys(fields)[0];
  if (first) $("add").elements[first]?.focus();
}

async function add(event) {
  event.preventDefault();
  const form = event.target;
  const value = (name) => form.elements[name].value.trim();
  const missing = Object.fromEntries(
    ["title", "summary"].filter((name) => !value(name)).map((name) => [name, "This is needed."]),
  );
  problems(missing);
  if (Object.keys(missing).length) return;
  const button = form.querySelector("button");
  button.disabled = true;
  $("sent").textContent = "";
  try {
    const made = await ask("projects", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        title: value("title"),
        summary: value("summary"),
        url: value("url") || null,
        tags: value("tags").split(",").map((tag) => tag.trim()).filter(Boolean),
      }),
    });
    form.reset();
    state.fresh = made.id;
    state.q = state.tag = $("q").value = "";
    await show();
    $("sent").textContent = `“${made.title}” is in the database.`;
    $("grid").firstElementChild?.scrollIntoView({ block: "center" });
  } catch (error) {
    problems(error.fields ?? {});
    $("sent").textContent = error.message;
  } finally {
    button.disabled = false;
  }
}

function theme(wanted) {
  const dark = wanted ? wanted === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  if (wanted) document.documentElement.dataset.theme = wanted;
  $("theme").ariaPressed = String(dark);
  return dark;
}

const known = new URLSearchParams(location.search);
state.q = $("q").value = known.get("q") ?? "";
state.tag = known.get("tag") ?? "";
theme(localStorage.getItem("theme"));

$("theme").onclick = () => {
  const next = $("theme").ariaPressed === "true" ? "light" : "dark";
  localStorage.setItem("theme", next);
  theme(next);
};
let typing;
$("q").oninput = (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    state.q = event.target.value.trim();
    remember();
    load();
  }, 200);
};
$("search").onsubmit = (event) => event.preventDefault();
$("more").onclick = () => load({ more: true });
$("add").onsubmit = add;
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(event.target.tagName)) {
    event.preventDefault();
    $("q").focus();
  }
});

$("grid").replaceChildren(...Array.from({ length: 3 }, () => element("li", "", { className: "card skeleton", ariaHidden: "true" })));
show();
