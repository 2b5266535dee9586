// The chat: sends a question to the API and shows the answer while it is made, then its sources.

import { $, element } from "./dom.js";

const seconds = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1, minimumFractionDigits: 1 });

/** Server-sent events out of a reply's body, each as [name, value]. */
async function* events(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const word = (name) => lines.find((line) => line.startsWith(name))?.slice(name.length) ?? "";
      yield [word("event: "), JSON.parse(word("data: "))];
    }
  }
}

function sources(found) {
  const list = element("ul", "", { className: "chips sources", ariaLabel: "Sources" });
  list.append(
    ...found.map((source, index) => {
      const item = element("li");
      const known = document.querySelector(`#grid [data-project="${source.id}"]`);
      const label = `${index + 1} ${source.title}`;
      item.append(
        element("button", label, {
          type: "button",
          disabled: !known,
          ariaLabel: `Source ${label}`,
          onclick: () => known.scrollIntoView({ block: "center" }),
        }),
      );
      return item;
    }),
  );
  return list;
}

async function answer(question, talk) {
  const said = element("p", "", { className: "said" });
  const foot = element("p", "Looking for projects that fit …", { className: "count" });
  talk.append(said, foot);
  const reply = await fetch("api/ask", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ question, stream: true }),
  });
  if (!reply.ok) {
    const body = await reply.json().catch(() => null);
    throw new Error(typeof body?.detail === "string" ? body.detail : `the API answered with status ${reply.status}`);
  }
  let ended = false;
  for await (const [name, value] of events(reply)) {
    if (name === "sources") {
      foot.before(sources(value.sources));
      foot.textContent = "The model reads …";
    } else if (name === "token") {
      said.append(value.text);
    } else if (name === "done") {
      const count = value.tokens === 1 ? "1 token" : `${value.tokens} tokens`;
      foot.textContent = `${count} in ${seconds.format(value.seconds)} s, the first after ${seconds.format(value.first_token_s)} s`;
      ended = true;
    } else if (name === "failed") {
      throw new Error(value.detail);
    }
  }
  if (!ended) throw new Error("the answer broke off");
}

$("ask").onsubmit = async (event) => {
  event.preventDefault();
  const input = $("question");
  const question = input.value.trim();
  if (!question) return input.focus();
  const button = $("ask").querySelector("button");
  const talk = element("li", "", { className: "talk" });
  talk.append(element("p", question, { className: "asked" }));
  $("talks").prepend(talk);
  button.disabled = true;
  talk.ariaBusy = "true"; // read out once it is whole, not word by word
  try {
    await answer(question, talk);
    input.value = "";
  } catch (error) {
    talk.querySelector(".count")?.remove();
    talk.append(element("p", `That didn't work: ${error.message}. Try again in a moment.`, { className: "problem" }));
  } finally {
    talk.ariaBusy = "false";
    button.disabled = false;
    input.focus({ preventScroll: true });
  }
};
