// The page's own elements, and what Gradio's buttons and boxes call. Everything goes through the studio's API: the
// page can do nothing that a program cannot.

import { JobElement } from "./job.js";
import { Player } from "./player.js";
import { Source } from "./source.js";
import * as tabs from "./tabs.js";
import { Timeline } from "./timeline.js";

// <ondes-tabs>: the titles of the tabs, and where a result can be used.
class TabsElement extends HTMLElement {
  connectedCallback() {
    const { titles, uses } = JSON.parse(this.getAttribute("plan"));
    this.titles = titles;
    this.uses = uses;
  }
}

window.ondes = {
  run: (tab, ...values) => tabs.tab(tab).job?.run(...values),
  restored: tabs.restored,
  typed: tabs.regionsTyped,
  newSeed: () => Math.floor(Math.random() * 2 ** 32),
  // Which of Compose's options belong together depends on the verb; CSS hides the others.
  verb: tabs.verbChosen,
};

customElements.define("ondes-tabs", TabsElement);
customElements.define("ondes-timeline", Timeline);
customElements.define("ondes-player", Player);
customElements.define("ondes-source", Source);
customElements.define("ondes-job", JobElement);
