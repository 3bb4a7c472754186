// The studio's API as the page uses it. Every refusal becomes an Error whose message is the server's sentence,
// and whose `field` is the option that caused it, where the server says so.

export class Refusal extends Error {
  constructor(sentence, field = null, status = 0) {
    super(sentence);
    this.field = field;
    this.status = status;
  }
}

// The part of an answer's body that says what is wrong: our {"detail": "..."} or FastAPI's list of such.
function refusal(body, status) {
  const detail = body?.detail;
  if (Array.isArray(detail) && detail.length) {
    const place = (detail[0].loc ?? []).filter((word) => typeof word === "string" && word !== "body");
    return new Refusal(detail.map((each) => each.msg).join("; "), place.at(-1) ?? null, status);
  }
  const sentence = typeof detail === "string" ? detail : `the studio answered with status ${status}`;
  return new Refusal(sentence, body?.field ?? null, status);
}

export async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refusal("the studio does not answer; is 'ondes studio' still running?");
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw refusal(body, answer.status);
  return body;
}

export const fileUrl = (id, view = "") => `/v1/files/${id}${view ? "/" + view : ""}`;
export const getFile = (id) => call(fileUrl(id, "info"));
export const getJob = (id) => call(`/v1/jobs/${id}`);
export const getView = (id, view) => call(fileUrl(id, view));
export const cancelJob = (id) => call(`/v1/jobs/${id}`, { method: "DELETE" });
export const resumeJob = (id) => call(`/v1/jobs/${id}/resume`, { method: "POST" });

export const submit = (kind, task) =>
  call(`/v1/${kind}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(task),
  });

// Send a file and hear how far it is; XMLHttpRequest, because fetch does not tell the progress of sending.
export function upload(file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/files");
    request.responseType = "json";
    request.upload.onprogress = (event) => onProgress(event.loaded / Math.max(event.total, 1));
    request.onload = () =>
      request.status < 300 ? resolve(request.response) : reject(refusal(request.response, request.status));
    request.onerror = () => reject(new Refusal(`${file.name} was not sent: the studio does not answer`));
    const form = new FormData();
    form.append("file", file, file.name);
    request.send(form);
  });
}

const FINAL = new Set(["done", "failed", "cancelled", "interrupted"]);
export const isFinal = (job) => FINAL.has(job.state);

// Call back with the job at every change until it is over. Server-sent events, and asking again when they break.
export function watchJob(id, onJob) {
  let over = false;
  const events = new EventSource(`/v1/jobs/${id}/events`);
  const stop = () => {
    over = true;
    events.close();
  };
  const take = (job) => {
    if (over || !job?.state) return;
    if (isFinal(job)) stop();
    onJob(job);
  };
  const heard = (event) => take(JSON.parse(event.data));
  for (const name of ["progress", "end"]) events.addEventListener(name, heard);
  events.onerror = async () => {
    events.close();
    while (!over) {
      try {
        take(await getJob(id));
      } catch (error) {
        if (error.status === 404) {
          stop();
          onJob({ id, state: "failed", error: error.message });
        }
      }
      await new Promise((wake) => setTimeout(wake, 1000));
    }
  };
  return stop;
}
