// Have a studio play a score:   node examples/studio_synthesize.js http://127.0.0.1:8000 song.mid song.wav
// ONDES_TOKEN holds the token, where the server has one. Needs Node 18 or newer; `play` runs in browsers as well, in
// pages that the studio serves itself: those of other sites are refused.

async function play(url, token, name, bytes, told) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const ask = async (path, options = {}) => {
    const answer = await fetch(url + path, { ...options, headers: { ...headers, ...options.headers } });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    return answer;
  };
  const form = new FormData();
  form.append("file", new Blob([bytes]), name);
  const file = await (await ask("/v1/files", { method: "POST", body: form })).json();
  const body = JSON.stringify({ score: file.id, seed: 7, steps: 8 });
  const sent = { method: "POST", body, headers: { "Content-Type": "application/json" } };
  let job = await (await ask("/v1/synthesize", sent)).json();

  const events = (await ask(`/v1/jobs/${job.id}/events`)).body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "", piece; !(piece = await events.read()).done; ) {
    const lines = (rest + piece.value).split(/\r\n|\n/);
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data: ")) told((job = JSON.parse(line.slice(6))));
  }
  if (job.state !== "done") throw new Error(job.error ?? `the job is ${job.state}`);
  return (await ask(`/v1/files/${job.files[0].id}`)).arrayBuffer();
}

async function main([url, score, output]) {
  const { readFile, writeFile } = await import("node:fs/promises");
  const { basename } = await import("node:path");
  const told = (job) => console.log(`${job.state}: ${job.done.toFixed(1)} of ${job.total.toFixed(1)} s`);
  const music = await play(url, process.env.ONDES_TOKEN, basename(score), await readFile(score), told);
  await writeFile(output, Buffer.from(music));
}

main(process.argv.slice(2)).catch((error) => { console.error(error.message); process.exit(2); });
