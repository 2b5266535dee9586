// What both scripts use. Texts of other people only ever become text nodes, never markup.

export const $ = (id) => document.getElementById(id);

export function element(name, text, properties = {}) {
  const made = Object.assign(document.createElement(name), properties);
  if (text) made.textContent = text;
  return made;
}
