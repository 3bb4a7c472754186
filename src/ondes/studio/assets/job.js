// <ondes-job>: one tab's work: run, progress with time left, cancel, listening meanwhile, the result, and the history
// of seeds. Its `plan` attribute (JSON) says which task it is, which sources it has and which options there are.

import { cancelJob, getJob, isFinal, resumeJob, submit, watchJob } from "./api.js";
import { complainAt, taskOf } from "./controls.js";
import { element, say, sentence } from "./element.js";
import { History } from "./history.js";
import { LivePlayer } from "./live.js";
import { silenceOthers } from "./player.js";
import { clock, span } from "./regions.js";
import { showResult } from "./result.js";
import * as tabs from "./tabs.js";

export class JobElement extends HTMLElement {
  connectedCallback() {
    if (this.plan) return;
    this.plan = JSON.parse(this.getAttribute("plan"));
    this.tab = this.plan.tab;
    this.#build();
    tabs.register(this.tab, "job", this);
    const verb = this.plan.fields.find((field) => field.name === "verb");
    if (verb) tabs.verbChosen(this.tab, verb.initial);
    this.#goOn();
  }

  #build() {
    this.state = sentence("o-state");
    this.problem = sentence("o-error", "alert");
    this.bar = element("progress", { max: 1, value: 0, hidden: true, "aria-label": "Progress" });
    this.cancel = this.#button("Cancel", () => this.#cancel());
    this.resume = this.#button("Go on", () => this.#resume());
    this.liveButton = this.#button("❚❚ Pause", () => this.live?.pause());
    this.liveTime = element("span", { class: "o-time", hidden: true });
    const row = element("div", { class: "o-row" }, this.cancel, this.resume, this.liveButton, this.liveTime);
    this.result = element("section", { class: "o-result", "aria-label": "Result" });
    this.empty = element("p", { class: "o-empty" }, this.plan.invitation);
    this.history = new History(this.tab, (entry, again) => this.#recall(entry, again));
    this.append(this.problem, this.state, this.bar, row, this.empty, this.result, this.history.element);
  }

  #button(text, onclick) {
    return element("button", { type: "button", class: "o-button", hidden: true, onclick }, text);
  }

  // Begin a job with the values of the tab's controls, in the order of the plan's fields.
  async run(...values) {
    this.clickedAt = performance.now();
    say(this.problem, "");
    complainAt(this.plan, null, "");
    const { task, field, wrong } = taskOf(this.plan, values, tabs.tab(this.tab).sources);
    if (wrong) return this.#complain(wrong, field);
    await this.#begin(task);
  }

  async #begin(task) {
    silenceOthers();
    this.live?.stop();
    this.stopWatching?.();
    // Refused work must not look as if it were the last one's.
    this.job = null;
    this.isUnwanted = false;
    this.#showState({ state: "queued" });
    try {
      const job = await submit(this.plan.task, task);
      this.history.add({ id: job.id, seed: task.seed ?? 0, task, at: Date.now(), files: this.#sourceFiles() });
      this.#follow(job, !this.isUnwanted);
      if (this.isUnwanted) await this.#cancel();
    } catch (error) {
      this.#hideProgress();
      this.#complain(error.message, error.field);
    }
  }

  #complain(text, field) {
    if (!complainAt(this.plan, field, text, tabs.tab(this.tab).sources)) say(this.problem, text);
  }

  #sourceFiles() {
    const files = {};
    for (const [field, source] of tabs.tab(this.tab).sources) if (source.file) files[field] = source.file;
    return files;
  }

  #follow(job, listens) {
    this.job = job;
    this.listens = listens && this.plan.streams && document.querySelector(`#${this.tab}-listen input`)?.checked !== false;
    if (this.listens) this.#listen(job.id);
    this.stopWatching = watchJob(job.id, (now) => this.#changed(now));
    this.#changed(job);
  }

  #listen(id) {
    this.live = new LivePlayer(id, this.clickedAt, (live) => this.#heard(live));
    const live = this.live;
    live.play();
    const tick = () => {
      if (live !== this.live) return;
      this.#heard(live);
      if (!live.stats.ended || live.isHeard) setTimeout(tick, 200);
      else this.#heard(live);
    };
    setTimeout(tick, 200);
  }

  #heard(live) {
    const begun = live.beganAt !== undefined;
    const paused = live.context?.state === "suspended";
    const over = live.stats.ended && !live.isHeard && !paused;
    this.liveButton.hidden = this.liveTime.hidden = !begun || over;
    this.liveButton.textContent = paused ? "▶ Listen on" : "❚❚ Pause";
    this.liveTime.textContent = `heard while it is made: ${clock(live.playedS)}`;
  }

  #changed(job) {
    if (this.job?.id !== job.id) return;
    if (isFinal(this.job) && this.shown === job.id) return;
    this.job = job;
    this.#showState(job);
    this.history.update(job);
    if (job.state === "done") this.#finished(job);
    if (job.state === "failed" || job.state === "interrupted") this.#complain(job.error ?? "the job failed", null);
    if (job.state === "cancelled") this.live?.stop();
  }

  #showState(job) {
    const running = !isFinal(job);
    this.bar.hidden = !running;
    this.cancel.hidden = !running;
    this.cancel.disabled = Boolean(job.cancel_requested);
    this.resume.hidden = job.state !== "interrupted";
    if (running && job.total > 0 && job.state === "running") this.bar.value = job.done / job.total;
    else this.bar.removeAttribute("value");
    say(this.state, stateSentence(job));
  }

  #hideProgress() {
    this.bar.hidden = this.cancel.hidden = true;
    say(this.state, "");
  }

  async #finished(job) {
    if (this.shown === job.id) return;
    this.shown = job.id;
    this.empty.hidden = true;
    try {
      const whole = job.files ? job : await getJob(job.id);
      const entry = this.history.entry(job.id);
      await showResult(this.result, whole, entry?.files ?? {});
      if (this.job?.id !== job.id) return; // another one is shown meanwhile
      this.#giveOn(whole);
      this.result.dataset.job = job.id;
    } catch (error) {
      say(this.problem, error.message);
    }
  }

  // In a chain the main result becomes what the next step works on.
  #giveOn(job) {
    for (const next of this.plan.then ?? []) {
      const main = job.files.find((file) => file.kind === next.accepts);
      if (main) tabs.tab(next.tab).sources.get(next.field)?.take(main);
    }
  }

  async #cancel() {
    this.cancel.disabled = true;
    say(this.state, "Stopping …");
    this.live?.stop();
    this.#heard(this.live ?? { stats: { ended: true } });
    try {
      if (this.job) await cancelJob(this.job.id);
      else this.isUnwanted = true; // the studio has not answered yet that it takes the job
    } catch (error) {
      say(this.problem, error.message);
    }
  }

  async #resume() {
    say(this.problem, "");
    try {
      this.#follow(await resumeJob(this.job.id), false);
    } catch (error) {
      say(this.problem, error.message);
    }
  }

  // Back to an earlier run: its options and sources return; with `again` it is made once more.
  async #recall(entry, again) {
    say(this.problem, "");
    const values = Object.fromEntries(this.plan.fields.map((field) => [field.name, field.initial]));
    for (const [name, value] of Object.entries(entry.task)) if (name in values) values[name] = shownValue(name, value);
    tabs.setControls(this.tab, values);
    for (const [field, file] of Object.entries(entry.files)) {
      const source = tabs.tab(this.tab).sources.get(field);
      if (source && source.file?.id !== file.id) source.take(file);
    }
    this.clickedAt = performance.now();
    if (again) return this.#begin(entry.task);
    try {
      this.shown = null;
      this.stopWatching?.();
      this.live?.stop();
      this.#follow(await getJob(entry.id), false);
    } catch (error) {
      say(this.problem, error.message);
    }
  }

  // After the page was loaded again: the last job of this tab is still there, perhaps still at work.
  async #goOn() {
    const last = this.history.last;
    if (!last) return;
    try {
      this.#follow(await getJob(last.id), false);
    } catch {
      this.history.forget(last.id);
    }
  }
}

// A range of bars is typed as 9-12.
const shownValue = (name, value) => (name === "bars" && Array.isArray(value) ? value.join("-") : value);

function stateSentence(job) {
  const share = job.total > 0 ? Math.floor((100 * job.done) / job.total) : 0;
  if (job.cancel_requested && !isFinal(job)) return "Stopping …";
  if (job.state === "queued") return "Waiting for its turn …";
  if (job.state === "running") {
    const left = job.eta_s ? `, about ${job.eta_s < 60 ? `${Math.ceil(job.eta_s)} s` : span(job.eta_s)} left` : "";
    return `Making it: ${share} %${left}.`;
  }
  if (job.state === "done") {
    const took = job.finished_at && job.started_at ? ` in ${span(job.finished_at - job.started_at)}` : "";
    return `Done${took}.`;
  }
  return { cancelled: "Cancelled.", interrupted: "Interrupted; what was finished is kept.", failed: "" }[job.state] ?? "";
}
