// Making elements without a framework: element("button", { class: "o-small", onclick: go }, "Play").

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// A sentence that screen readers speak when it changes.
export const sentence = (className, role = "status") =>
  element("p", { class: className, role, "aria-live": role === "alert" ? "assertive" : "polite", hidden: true });

export function say(where, text) {
  where.textContent = text;
  where.hidden = !text;
}

let count = 0;
export const freshId = () => `ondes-${++count}`;
