// Regions as people type them, "12.5-15,1:03-1:07.25" in seconds or "9-12,17" in bars, and as pairs of numbers.

// Seconds of "12.5" or "1:03.25"; NaN where it is neither. "end" is the end.
export function parseSeconds(text, endS) {
  const word = text.trim().toLowerCase();
  if (word === "end") return endS;
  const match = /^(?:(\d+):)?(\d+(?:\.\d*)?|\.\d+)$/.exec(word);
  return match ? 60 * Number(match[1] ?? 0) + Number(match[2]) : NaN;
}

export function parseRegions(text, endS) {
  return text
    .split(",")
    .map((part) => part.split("-").map((word) => parseSeconds(word, endS)))
    .filter((pair) => pair.length === 2 && pair[0] < pair[1])
    .map(([from, to]) => [from, Math.min(to, endS)])
    .filter(([from, to]) => from < to);
}

const shortest = (seconds) => String(Number(seconds.toFixed(3)));
export const formatRegions = (regions) => regions.map((pair) => pair.map(shortest).join("-")).join(",");

// Bars count from 1 and both ends belong to the range, as on the command line; inside the page they are seconds.
export function parseBars(text, bars, endS) {
  return text
    .split(",")
    .map((part) => part.split("-").map((word) => Number.parseInt(word, 10)))
    .filter((pair) => pair.every((bar) => bar >= 1 && bar <= bars.length))
    .map((pair) => [pair[0], pair.at(-1)])
    .filter(([first, last]) => first <= last)
    .map(([first, last]) => [bars[first - 1], bars[last] ?? endS]);
}

export function formatBars(regions, bars) {
  return regions
    .map(([from, to]) => {
      const first = Math.max(1, bars.filter((bar) => bar <= from + 1e-6).length);
      return [first, Math.max(first, bars.filter((bar) => bar < to - 1e-6).length)];
    })
    .map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`))
    .join(",");
}

// In order, and those that touch made one.
export function merged(regions) {
  const out = [];
  for (const [from, to] of [...regions].sort((a, b) => a[0] - b[0])) {
    const last = out.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out;
}

// "8.2 s" or "1 min 42 s".
export function span(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${((tenths - 600 * minutes) / 10).toFixed(1).padStart(4, "0")}`;
}
