"use strict";
// The page of the service: asks its own API and nothing else. No key is kept beyond the page.
const TEXTS = {
  en: {
    brand: "Watermark check", other: "中文", skip: "Skip to the content", views: "Views", viewCheck: "Check", viewMark: "Mark", viewRecords: "Records",
    signIn: "Staff", signOut: "Sign out", keyLabel: "API key", keyUse: "Use it", keyWrong: "This key is not known here, or was revoked.",
    keyIs: (role) => `Signed in as ${role}.`, checkTitle: "Is there a watermark in this picture?",
    checkLead: "The picture is read here and is not kept.", choose: "Choose a picture", dropOr: "or drop it here, or paste it",
    bounds: (mib, mp) => `Up to ${mib} MiB and ${mp} megapixels.`, urlLabel: "or its address (URL)", urlCheck: "Check",
    progress: "Progress", sending: (p) => `Sending the picture: ${p}%`, searching: (s) => `Looking for watermarks: ${s} s`, cancel: "Cancel",
    noProof: "No watermark found is no proof of anything: most pictures carry none, and a mark can be removed. A mark that is found says what was marked, not who did what with it.",
    none: "No watermark found", noneLead: "No mark of the kind that this service reads was found in this picture. That does not say where it comes from, or whether it was generated.",
    some: (n) => (n === 1 ? "One watermark found" : `${n} watermarks found`), someLead: (n) => (n === 1 ? "It is outlined on the picture." : "Each is outlined on the picture and has a card."),
    partial: (why) => `Not all was looked at: ${why}.`, tooLarge: (mib) => `This picture is larger than ${mib} MiB. Use a smaller copy.`,
    offline: "The service cannot be reached. Try again in a moment.", alt: (n) => `The picture, with ${n} marked regions`, mark: "Watermark",
    by: (who) => `Marked by ${who}`, owner: "Owner", asset: "Asset", user: "User", time: "Time", link: "Link", state: "State", where: "Where",
    whole: "nearly the whole picture", share: (p) => `${p}% of the picture`, sure: "Chance by the model", below: (e) => `1 in 10${raised(e)} at most`, unsure: "not stated",
    labelSays: "The file's metadata say that it was generated.", labelAgrees: "A watermark says the same.",
    transplanted: "This mark seems to come from another picture: it may have been copied.",
    status: {
      verified: ["Marked by a known owner", "The mark belongs to a record of this registry. It says what was marked and for whom, not that the picture is unchanged."],
      unverified: ["A record that anyone can have written", "The mark holds a complete record without a proof of its author. Do not rely on it alone."],
      withdrawn: ["A mark that was taken back", "The registry knows this mark, and its owner has withdrawn it. It no longer stands for anything."],
      unregistered: ["A mark of somebody else", "The mark is sound, but no record of this registry belongs to it. It may be of another service."],
      unreadable: ["A mark that cannot be read", "There is a mark, worn too far to say which. A better copy of the picture may help."],
    },
    markTitle: "Mark a picture", picture: "Picture", label: "Also write the label of generated pictures into its metadata", markDo: "Mark",
    marking: "Marking and reading back…", marked: (link) => `Marked: ${link}`, markedRecord: "Marked, with the record in the picture", download: "Save the marked picture",
    flip: "Show the original", flipBack: "Show the marked picture", flipHint: "At 100%: press the button, or the space bar on the picture, to flip between both.",
    pane: "Marked and original picture at 100%", recordsTitle: "Records", look: "Look up", actions: "Actions", withdraw: "Withdraw",
    sureWithdraw: (link) => `Withdraw ${link}? Checks will no longer name it. This cannot be undone.`, withdrawn: (link) => `${link} is withdrawn.`,
    records: (n, more) => `${n} record${n === 1 ? "" : "s"}${more ? "; there are more: narrow the search" : ""}`,
    states: { marked: "marked", pending: "pending", discarded: "discarded", withdrawn: "withdrawn" }, api: "API",
    problems: { picture: "This picture cannot be read", "too-large": "Too large", "too-many": "Too many requests", unavailable: "Not available now", "not-allowed": "Not allowed", "no-key": "A key is needed", "not-found": "Not found", "too-slow": "The upload took too long", fault: "The service failed" },
    problem: "That did not work",
  },
  zh: {
    brand: "水印检测", other: "English", skip: "跳到正文", views: "视图", viewCheck: "检测", viewMark: "添加水印", viewRecords: "记录",
    signIn: "工作人员", signOut: "退出", keyLabel: "API 密钥", keyUse: "使用", keyWrong: "密钥无效或已被撤销。",
    keyIs: (role) => `已登录，角色：${role}。`, checkTitle: "这张图片里有水印吗？",
    checkLead: "图片只在此读取，不会保存。", choose: "选择图片", dropOr: "或拖放到此处，或直接粘贴",
    bounds: (mib, mp) => `最大 ${mib} MiB，${mp} 百万像素。`, urlLabel: "或图片网址（URL）", urlCheck: "检测",
    progress: "进度", sending: (p) => `正在上传：${p}%`, searching: (s) => `正在查找水印：${s} 秒`, cancel: "取消",
    noProof: "未发现水印并不能证明任何事情：多数图片没有水印，水印也可能被去除。发现的水印说明被标记的内容，不说明谁做了什么。",
    none: "未发现水印", noneLead: "未在此图片中发现本服务可读取的水印。这不能说明图片的来源，也不能说明它是否由人工智能生成。",
    some: (n) => `发现 ${n} 个水印`, someLead: (n) => (n === 1 ? "水印已在图片上标出。" : "每个水印都在图片上标出，并附有一张卡片。"),
    partial: (why) => `未能检查全部内容：${why}。`, tooLarge: (mib) => `图片大于 ${mib} MiB，请使用较小的副本。`,
    offline: "无法连接服务，请稍后重试。", alt: (n) => `图片，标出 ${n} 个区域`, mark: "水印",
    by: (who) => `由 ${who} 标记`, owner: "所有者", asset: "作品", user: "用户", time: "时间", link: "链接", state: "状态", where: "位置",
    whole: "几乎整张图片", share: (p) => `图片的 ${p}%`, sure: "模型给出的概率", below: (e) => `至多 10${raised(`-${e}`)}`, unsure: "未说明",
    labelSays: "文件元数据标明该图片为生成内容。", labelAgrees: "水印内容与之一致。",
    transplanted: "此水印似乎来自另一张图片，可能是被复制过来的。",
    status: {
      verified: ["已知所有者的水印", "该水印对应本登记库中的一条记录。它说明标记了什么、为谁标记，并不说明图片未被修改。"],
      unverified: ["任何人都可能写入的记录", "水印中有一条完整的记录，但无法证明其作者。请勿单独以此为依据。"],
      withdrawn: ["已撤回的水印", "登记库认识此水印，但其所有者已将其撤回。它不再代表任何内容。"],
      unregistered: ["他人的水印", "水印完好，但本登记库中没有对应的记录。它可能属于其他服务。"],
      unreadable: ["无法读取的水印", "图片中有水印，但磨损过多，无法辨认。较好的副本可能有帮助。"],
    },
    markTitle: "为图片添加水印", picture: "图片", label: "同时在元数据中写入生成内容标识", markDo: "添加水印",
    marking: "正在添加水印并读回核对…", marked: (link) => `已标记：${link}`, markedRecord: "已标记，记录写入图片", download: "保存已标记的图片",
    flip: "显示原图", flipBack: "显示已标记的图片", flipHint: "以 100% 显示：按按钮，或在图片上按空格键，可在两者之间切换。",
    pane: "以 100% 显示的原图与标记图", recordsTitle: "记录", look: "查询", actions: "操作", withdraw: "撤回",
    sureWithdraw: (link) => `撤回 ${link}？之后的检测将不再显示它，且无法恢复。`, withdrawn: (link) => `${link} 已撤回。`,
    records: (n, more) => `${n} 条记录${more ? "；还有更多，请缩小范围" : ""}`,
    states: { marked: "已标记", pending: "待确认", discarded: "已放弃", withdrawn: "已撤回" }, api: "API",
    problems: { picture: "无法读取该图片", "too-large": "文件过大", "too-many": "请求过于频繁", unavailable: "暂时不可用", "not-allowed": "没有权限", "no-key": "需要密钥", "not-found": "未找到", "too-slow": "上传超时", fault: "服务出错" },
    problem: "操作未成功",
  },
};
const REASONS = {
  zh: {
    "the file is cut short: what is there was searched": "文件不完整，已检查现有部分",
    "the time was over: what was looked at until then is given": "时间已到，只给出此前的结果",
    "a quick look: at the usual resolution only": "快速检测，只检查了常用分辨率",
  },
};
const raised = (number) => [...String(number)].map((one) => (one === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[one])).join("");
const SVG = "http://www.w3.org/2000/svg";
const WHOLE = 0.8; // share of a picture that is called nearly all of it
const COLOURS = 12;
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

function show(said, name, url, focus) {
  shown = { said, name, url };
  const marks = said.watermarks;
  $("result").hidden = false;
  $("result-title").textContent = marks.length ? text.some(marks.length) : text.none;
  const label = said.label && said.label.value ? ` ${text.labelSays}${said.label.agrees ? ` ${text.labelAgrees}` : ""}` : "";
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

function card(mark, index) {
  const [title, meaning] = text.status[mark.status], record = mark.record || {};
  const heading = mark.status === "verified" && mark.marked_by ? text.by(mark.marked_by) : title;
  const area = mark.region.area, chance = mark.log10_p <= -1 ? text.below(Math.floor(-mark.log10_p)) : text.unsure;
  const made = make("li", { class: `card m${index % COLOURS}` },
    make("h3", {}, make("span", { class: "n" }, String(index + 1)), heading),
    make("p", {}, meaning),
    mark.transplanted ? make("p", { class: "warning" }, text.transplanted) : null,
    make("dl", {}, ...row(text.owner, record.owner), ...row(text.asset, record.asset), ...row(text.user, record.user),
      ...row(text.time, record.ingested_at), ...row(text.link, mark.link),
      ...row(text.where, area > WHOLE ? text.whole : text.share(Math.max(1, Math.round(100 * area)))), ...row(text.sure, chance)));
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
