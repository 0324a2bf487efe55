"use strict";
// The page of the service: asks its own API and nothing else. No key is kept beyond the page.
const SVG = "http://www.w3.org/2000/svg";
const WHOLE = 0.8; // share of a picture that is called nearly all of it
const COLOURS = 12;
const GENERATED = ["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia", "compositeSynthetic"];
const $ = (id) => document.getElementById(id);
let language = (navigator.languages || [navigator.language || "en"])[0].toLowerCase().startsWith("zh") ? "zh" : "en";
let text = TEXTS[language];
let key = null, about = null, request = null, shown = null, problems = {}, kept = [], lookUps = 0;

function make(tag, attributes = {}, ...inside) {
  const element = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...inside.filter((one) => one !== null));
  return element;
}

function speak(chosen) {
  language = chosen;
  text = TEXTS[chosen];
  document.documentElement.lang = chosen === "zh" ? "zh-Hans" : "en";
  document.title = text.brand;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = text[element.dataset.t];
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", text[element.dataset.label]);
  $("language").textContent = text.other;
  $("language").lang = chosen === "zh" ? "en" : "zh";
  $("staff").textContent = key ? text.signOut : text.signIn;
  $("flip").textContent = $("flip").getAttribute("aria-pressed") === "true" ? text.flipBack : text.flip;
  if (about) describe();
  if (shown) show(shown.said, shown.name, shown.url, false);
  for (const [place, said] of Object.entries(problems)) if (said) refuse(place, said, false);
}

function describe() {
  const mib = Math.floor(about.max_bytes / 1048576 * 10) / 10;
  $("bounds").textContent = text.bounds(mib, Math.round(about.max_pixels / 1e6));
  $("about").textContent = `wam ${about.version} · ${about.model}`;
  $("by-url").hidden = !about.fetch_urls;
}

// one request; told how much was sent; the answer with what says how it went
function send(method, path, body, { progress = null, headers = {}, type = "json" } = {}) {
  const asked = new XMLHttpRequest();
  const answer = new Promise((resolve, reject) => {
    asked.open(method, path);
    asked.responseType = type === "json" ? "text" : "blob";
    if (key) asked.setRequestHeader("Authorization", `Bearer ${key}`);
    for (const [name, value] of Object.entries(headers)) asked.setRequestHeader(name, value);
    if (progress) asked.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    asked.onload = async () => {
      const ok = asked.status >= 200 && asked.status < 300;
      const content = ok && type !== "json" ? asked.response : type === "json" ? asked.response : await asked.response.text();
      if (ok && type !== "json") return resolve({ content, header: (name) => asked.getResponseHeader(name) });
      let said = null;
      try { said = JSON.parse(content); } catch { said = null; }
      if (ok && said) resolve(said);
      else reject(said || { type: "", detail: text.offline });
    };
    asked.onerror = () => reject({ type: "urn:wam:problem:unavailable", detail: text.offline });
    asked.onabort = () => reject(null);
    asked.send(body);
  });
  return { answer, stop: () => asked.abort() };
}

function refuse(place, said, scroll = true) {
  problems[place] = said;
  const box = $(place);
  box.hidden = !said;
  if (!said) return;
  const kind = (said.type || "").split(":").pop();
  box.replaceChildren(make("strong", {}, text.problems[kind] || text.problem), said.detail || "");
  if (scroll) box.scrollIntoView({ block: "nearest" });
}

async function check(file, name, body, path, headers) {
  if (request) request.stop();
  refuse("problem", null);
  $("result").hidden = true;
  shown = null;
  for (const url of kept.splice(0)) URL.revokeObjectURL(url);
  if (file && about && file.size > about.max_bytes) {
    refuse("problem", { type: "urn:wam:problem:too-large", detail: text.tooLarge(Math.floor(about.max_bytes / 1048576)) });
    return;
  }
  $("working").hidden = false;
  $("progress").removeAttribute("value");
  let searching = 0;
  const clock = setInterval(() => { if (searching) stage(text.searching(Math.round((Date.now() - searching) / 1000))); }, 1000);
  const stage = (words) => { $("stage").textContent = words; };
  const progress = (part) => {
    if (part < 1) { $("progress").value = part; stage(text.sending(Math.round(100 * part))); }
    else if (!searching) { searching = Date.now(); $("progress").removeAttribute("value"); stage(text.searching(0)); }
  };
  progress(file ? 0 : 1);
  const mine = send("POST", path, body, { progress, headers });
  request = mine;
  try {
    const said = await mine.answer;
    const url = file ? URL.createObjectURL(file) : null;
    if (url) kept.push(url);
    show(said, name, url, true);
  } catch (problem) {
    if (problem) refuse("problem", problem);
  } finally {
    clearInterval(clock);
    if (request === mine) { request = null; $("working").hidden = true; }
  }
}

function checkFile(file) {
  const form = new FormData();
  form.append("file", file, file.name || "picture");
  check(file, file.name || "", form, "v1/detect", {});
}

function saysGenerated(label) {
  const kind = ((label && label.source_type) || "").split("digitalsourcetype/").pop();
  return label !== null && Boolean(label.value || label.ai_system || GENERATED.includes(kind));
}

function show(said, name, url, focus) {
  shown = { said, name, url };
  const marks = said.watermarks;
  $("result").hidden = false;
  $("result-title").textContent = marks.length ? text.some(marks.length) : text.none;
  const label = saysGenerated(said.label) ? ` ${text.labelSays}${said.label.agrees ? ` ${text.labelAgrees}` : ""}` : "";
  $("result-lead").textContent = (marks.length ? text.someLead(marks.length) : text.noneLead) + label;
  $("result-partial").hidden = said.complete;
  if (!said.complete) $("result-partial").textContent = text.partial((said.reason || "").split("; ").map((one) => (REASONS[language] || {})[one] || one).join("; "));
  $("picture-name").textContent = `${name} · ${said.width} × ${said.height}`;
  $("result").querySelector(".found").classList.toggle("none", !marks.length);
  draw(said, url);
  $("cards").replaceChildren(...marks.map(card));
  if (focus) $("result-title").focus({ preventScroll: true });
  if (focus) $("result").scrollIntoView({ block: "start" });
}

function draw(said, url) {
  const { width, height, watermarks: marks } = said, box = $("picture");
  const side = Math.min(width, height), dot = Math.max(9, 0.04 * side);
  const drawing = make("svg:svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  marks.forEach((mark, index) => {
    const group = make("svg:g", { class: `m${index % COLOURS}`, "data-mark": index });
    for (const points of mark.region.polygons) {
      const line = points.map((point) => point.join(",")).join(" ");
      group.append(make("svg:polygon", { class: "under", points: line }), make("svg:polygon", { class: "region", points: line }));
    }
    const [x, y] = mark.region.bbox, place = { cx: Math.min(width - dot, x + dot * 1.3), cy: Math.min(height - dot, y + dot * 1.3), r: dot };
    const number = make("svg:text", { class: "number", x: place.cx, y: place.cy, "font-size": dot * 1.2 }, String(index + 1));
    group.append(make("svg:circle", { class: "badge", ...place }), number);
    drawing.append(group);
  });
  const picture = make("img", { alt: text.alt(marks.length), width, height });
  const blank = () => { picture.remove(); box.classList.add("blank"); drawing.setAttribute("role", "img"); drawing.removeAttribute("aria-hidden"); drawing.setAttribute("aria-label", text.alt(marks.length)); };
  box.classList.remove("blank");
  box.replaceChildren(picture, drawing);
  if (url) { picture.onerror = blank; picture.src = url; } else blank(); // a kind that this browser does not show
}

function row(name, value) {
  return value === null || value === undefined || value === "" ? [] : [make("dt", {}, name), make("dd", {}, value)];
}

// as the command line says it: no smaller than what was tested
function chance(log10) {
  if (!about || log10 > -1) return text.unsure;
  return log10 > about.chance_log10 ? `1e${log10.toFixed(0)}` : text.tested(about.chance_shown);
}

function card(mark, index) {
  const [title, meaning] = text.status[mark.status], record = mark.record || {};
  const heading = mark.status === "verified" && mark.marked_by ? text.by(mark.marked_by) : title;
  const area = mark.region.area;
  const made = make("li", { class: `card m${index % COLOURS}` },
    make("h3", {}, make("span", { class: "n" }, String(index + 1)), heading),
    make("p", {}, meaning),
    mark.transplanted ? make("p", { class: "warning" }, text.transplanted) : null,
    mark.pose.negative ? make("p", { class: "warning" }, text.negative) : null,
    make("dl", {}, ...row(text.owner, record.owner), ...row(text.asset, record.asset), ...row(text.user, record.user),
      ...row(text.time, record.ingested_at), ...row(text.link, mark.link),
      ...row(text.where, area > WHOLE ? text.whole : text.share(Math.max(1, Math.round(100 * area)))), ...row(text.sure, chance(mark.log10_p))));
  const light = (on) => () => $("picture").querySelector(`[data-mark="${index}"]`).classList.toggle("lit", on);
  made.addEventListener("pointerenter", light(true));
  made.addEventListener("pointerleave", light(false));
  return made;
}

function view(name) {
  for (const one of ["check", "mark", "records"]) $(one).hidden = one !== name;
  for (const button of $("views").querySelectorAll("button")) {
    if (button.dataset.view === name) button.setAttribute("aria-current", "page"); else button.removeAttribute("aria-current");
  }
}

// what only staff may see goes with the key
function forget() {
  key = shown = null;
  for (const place of ["result", "marked", "records-table"]) $(place).hidden = true;
  $("records-table").tBodies[0].replaceChildren();
  $("cards").replaceChildren();
  $("picture").replaceChildren();
  for (const form of ["mark-form", "records-form"]) $(form).reset();
  for (const name of ["pane-marked", "pane-original"]) $(name).removeAttribute("src");
  $("download").removeAttribute("href");
  $("records-said").textContent = "";
  for (const place of Object.keys(problems)) refuse(place, null);
}

async function signIn(given) {
  key = given;
  try {
    about = await send("GET", "v1/about").answer;
  } catch (problem) {
    key = null;
    $("key-said").textContent = problem && problem.status === 401 ? text.keyWrong : (problem || {}).detail || text.offline;
    return;
  }
  const may = { check: true, mark: ["marker", "admin"].includes(about.role), records: ["auditor", "admin"].includes(about.role) };
  for (const button of $("views").querySelectorAll("button")) button.hidden = !may[button.dataset.view];
  $("views").hidden = !key;
  $("key").value = "";
  $("key-said").textContent = key ? text.keyIs(about.role) : "";
  $("staff").textContent = key ? text.signOut : text.signIn;
  $("staff").setAttribute("aria-expanded", "false");
  $("sign-in").hidden = true;
  view("check");
  describe();
}

async function mark(event) {
  event.preventDefault();
  const form = new FormData($("mark-form")), file = form.get("file");
  for (const name of ["owner", "user"]) if (!form.get(name)) form.delete(name);
  refuse("mark-problem", null);
  $("marked").hidden = true;
  $("mark-working").hidden = false;
  try {
    const answer = await send("POST", "v1/embed", form, { type: "blob" }).answer;
    const link = answer.header("Wam-Link"), url = URL.createObjectURL(answer.content);
    const name = /filename\*=UTF-8''([^;]+)/.exec(answer.header("Content-Disposition") || "");
    $("marked-title").textContent = link ? text.marked(link) : text.markedRecord;
    $("download").href = url;
    $("download").download = name ? decodeURIComponent(name[1]) : "marked";
    $("pane-marked").src = url;
    $("pane-original").src = URL.createObjectURL(file);
    flip(false);
    $("marked").hidden = false;
    $("marked-title").focus();
  } catch (problem) {
    refuse("mark-problem", problem || { detail: text.offline });
  } finally {
    $("mark-working").hidden = true;
  }
}

function flip(original) {
  $("pane-original").hidden = !original;
  $("pane-marked").hidden = original;
  $("flip").setAttribute("aria-pressed", String(original));
  $("flip").textContent = original ? text.flipBack : text.flip;
}

async function records(event) {
  if (event) event.preventDefault();
  const form = new FormData($("records-form")), link = form.get("link").trim(), mine = ++lookUps;
  refuse("records-problem", null);
  const query = new URLSearchParams();
  for (const name of ["asset", "user"]) if (form.get(name)) query.set(name, form.get(name));
  try {
    const path = link ? `v1/records/${encodeURIComponent(link)}` : `v1/records?${query}`;
    const found = await send("GET", path).answer;
    if (mine !== lookUps) return; // asked again meanwhile
    const entries = link ? [found] : found.records;
    $("records-said").textContent = text.records(entries.length, !link && found.more);
    $("records-table").hidden = !entries.length;
    $("records-table").tBodies[0].replaceChildren(...entries.map(entry));
  } catch (problem) {
    if (mine !== lookUps) return;
    $("records-table").hidden = true;
    $("records-said").textContent = "";
    refuse("records-problem", problem || { detail: text.offline });
  }
}

function entry(one) {
  const cells = [one.link, text.states[one.state], one.record.asset, one.record.owner, one.record.user || "–", one.record.ingested_at];
  const action = make("td");
  if (about.role === "admin" && ["marked", "pending"].includes(one.state)) {
    const button = make("button", { type: "button", "aria-label": `${text.withdraw} ${one.link}` }, text.withdraw);
    button.onclick = async () => {
      if (!window.confirm(text.sureWithdraw(one.link))) return;
      try {
        await send("POST", `v1/records/${encodeURIComponent(one.link)}/withdraw`).answer;
        await records(null);
        $("records-said").textContent = text.withdrawn(one.link);
      } catch (problem) {
        refuse("records-problem", problem || { detail: text.offline });
      }
    };
    action.append(button);
  }
  return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)), action);
}

function listen() {
  const drop = $("check-drop");
  $("check-file").onchange = (event) => { if (event.target.files.length) checkFile(event.target.files[0]); event.target.value = ""; };
  for (const name of ["dragover", "dragenter"]) document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.remove("over"); });
  document.addEventListener("drop", (event) => { if (!$("check").hidden && event.dataTransfer.files.length) checkFile(event.dataTransfer.files[0]); });
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData ? event.clipboardData.files : [])].find((one) => one.type.startsWith("image/"));
    if (file && !$("check").hidden) { event.preventDefault(); checkFile(file); }
  });
  $("cancel").onclick = () => { if (request) request.stop(); $("check-file").focus(); };
  $("by-url").onsubmit = (event) => {
    event.preventDefault();
    const url = $("url").value;
    check(null, url, JSON.stringify({ url }), "v1/detect/url", { "Content-Type": "application/json" });
  };
  $("language").onclick = () => speak(language === "en" ? "zh" : "en");
  $("staff").onclick = () => {
    if (key) { forget(); signIn(null); return; }
    $("sign-in").hidden = !$("sign-in").hidden;
    $("staff").setAttribute("aria-expanded", String(!$("sign-in").hidden));
    if (!$("sign-in").hidden) $("key").focus();
  };
  $("sign-in").onsubmit = (event) => { event.preventDefault(); signIn($("key").value.trim()); };
  $("views").onclick = (event) => { const name = event.target.dataset.view; if (name) { view(name); if (name === "records") records(null); } };
  $("mark-form").onsubmit = mark;
  $("flip").onclick = () => flip($("pane-original").hidden);
  $("pane").onkeydown = (event) => { if (event.key === " ") { event.preventDefault(); flip($("pane-original").hidden); } };
  $("records-form").onsubmit = records;
}

listen();
speak(language);
signIn(null);
