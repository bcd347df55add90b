// The search page: a photo with a box, filters and examples in; a part of the page out.
"use strict";

const $ = (id) => document.getElementById(id);
const state = { file: null, box: null, ...JSON.parse($("state").textContent) };
const titles = new Map(); // name of an example -> {title, image}
let last = null; // the request that is running

// ---------------------------------------------------------------- what is asked

const quote = (text) => `"${String(text).replaceAll('"', '""')}"`;

function conditions() {
  const found = [];
  for (const set of document.querySelectorAll("#filter-form fieldset")) {
    const name = quote(set.dataset.field);
    const checked = [...set.querySelectorAll(":checked")].map((input) => input.value);
    if (checked.length && set.dataset.kind === "boolean") {
      if (checked.length === 1) found.push(`${name} = ${checked[0]}`);
    } else if (checked.length) found.push(`${name} in ${checked.map(quote).join(",")}`);
    for (const [end, operator] of [["least", ">="], ["most", "<="]]) {
      const input = set.querySelector(`[data-end=${end}]`);
      if (input?.value) found.push(`${name} ${operator} ${input.value}`);
    }
  }
  return found;
}

function address() {
  const query = new URLSearchParams();
  for (const key of ["like", "dislike", "where"]) for (const each of state[key]) query.append(key, each);
  if ($("by").value !== "product") query.set("by", $("by").value);
  if ($("catalogue")) query.set("catalogue", document.body.dataset.catalogue);
  const text = query.toString();
  return text ? `./?${text}` : "./";
}

async function search() {
  state.where = conditions();
  const count = state.where.length;
  if ($("filter-count")) $("filter-count").textContent = count ? `${count} set` : "";
  showChips();
  if (!state.file && !state.like.length) return;
  if (!state.file) history.replaceState(null, "", address());
  $("share").hidden = !state.like.length;
  const form = new FormData();
  if (state.file) form.append("photo", state.file, "photo");
  if (state.file && state.box) form.append("box", state.box.map((n) => n.toFixed(4)).join(","));
  for (const key of ["like", "dislike", "where"]) for (const each of state[key]) form.append(key, each);
  form.append("by", $("by").value);
  form.append("k", "24");
  form.append("catalogue", document.body.dataset.catalogue);
  last?.abort();
  const running = (last = new AbortController());
  $("results").setAttribute("aria-busy", "true");
  try {
    const answer = await fetch("results", { method: "POST", body: form, signal: running.signal });
    if (answer.headers.get("content-type")?.startsWith("text/html")) {
      $("answers").innerHTML = await answer.text(); // made by the server, where names are escaped
    } else problem((await answer.json()).error.message);
    showPressed();
  } catch (error) {
    if (error.name !== "AbortError") problem("The server does not answer. Try again in a moment.");
  }
  if (running === last) $("results").setAttribute("aria-busy", "false");
}

function problem(text) {
  const said = document.createElement("p");
  said.className = "problem";
  said.setAttribute("role", "alert");
  said.textContent = text;
  $("answers").replaceChildren(said);
}

// -------------------------------------------------------------------- the photo

function take(file) {
  if (!file) return;
  state.file = file;
  const photo = $("photo");
  if (photo.src) URL.revokeObjectURL(photo.src);
  photo.className = "";
  photo.src = URL.createObjectURL(file);
  photo.onerror = () => {
    photo.className = "unseen"; // the server reads more formats than a browser
    photo.removeAttribute("src");
    photo.alt = "Your photo, which this browser cannot show";
  };
  photo.alt = "Your photo";
  $("drop").hidden = true;
  $("given").hidden = false;
  setBox(null);
  search();
}

function setBox(box) {
  state.box = box;
  $("box").hidden = !box;
  $("whole").hidden = !box;
  $("draw").hidden = Boolean(box);
  $("box-hint").textContent = box
    ? "Drag the box or its corners; arrow keys move it, with Shift they resize it."
    : "Drag a box around the garment.";
  if (!box) return;
  const [x, y, width, height] = box.map((n) => `${n * 100}%`);
  Object.assign($("box").style, { left: x, top: y, width, height });
}

const within = (n, most) => Math.min(Math.max(n, 0), most);
const LEAST = 0.05;

function place(event) {
  const area = $("stage").getBoundingClientRect();
  return [
    within((event.clientX - area.left) / area.width, 1),
    within((event.clientY - area.top) / area.height, 1),
  ];
}

function between([ax, ay], [bx, by]) {
  return [Math.min(ax, bx), Math.min(ay, by), Math.abs(ax - bx), Math.abs(ay - by)];
}

function drag(event) {
  if (event.button > 0 || !$("photo").src) return;
  event.preventDefault();
  const start = place(event), edge = event.target.dataset?.edge, before = state.box;
  let fixed = start, move = null;
  if (edge) {
    const [x, y, width, height] = before;
    fixed = [edge.includes("w") ? x + width : x, edge.includes("n") ? y + height : y];
  } else if (event.target === $("box")) move = before;
  const follow = (now) => {
    const to = place(now);
    if (move) {
      const x = within(move[0] + to[0] - start[0], 1 - move[2]);
      const y = within(move[1] + to[1] - start[1], 1 - move[3]);
      setBox([x, y, move[2], move[3]]);
    } else setBox(between(fixed, to));
  };
  const end = () => {
    window.removeEventListener("pointermove", follow);
    window.removeEventListener("pointerup", end);
    window.removeEventListener("pointercancel", end);
    if (state.box && (state.box[2] < LEAST || state.box[3] < LEAST)) setBox(before);
    if (String(state.box) !== String(before)) search();
  };
  window.addEventListener("pointermove", follow);
  window.addEventListener("pointerup", end);
  window.addEventListener("pointercancel", end);
}

let settle = 0;
function keys(event) {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!step || !state.box) return;
  event.preventDefault();
  let [x, y, width, height] = state.box;
  const [dx, dy] = step.map((n) => n * 0.02);
  if (event.shiftKey) {
    width = Math.min(Math.max(width + dx, LEAST), 1 - x);
    height = Math.min(Math.max(height + dy, LEAST), 1 - y);
  } else [x, y] = [within(x + dx, 1 - width), within(y + dy, 1 - height)];
  setBox([x, y, width, height]);
  clearTimeout(settle);
  settle = setTimeout(search, 350);
}

function another() {
  state.file = null;
  $("given").hidden = true;
  $("drop").hidden = false;
  $("choose").focus();
}

// ----------------------------------------------------------------- the examples

function showChips() {
  for (const [id, key] of [["likes", "like"], ["dislikes", "dislike"]]) {
    $(id).replaceChildren(
      ...state[key].map((name) => {
        const known = titles.get(name), line = document.createElement("li"), chip = document.createElement("button");
        const text = document.createElement("span");
        text.textContent = known?.title ?? name.replace(/^(product|photo):/, "");
        if (known) chip.append(Object.assign(document.createElement("img"), { src: known.image, alt: "" }));
        chip.append(text, " ×");
        chip.type = "button";
        chip.setAttribute("aria-label", `Remove ${text.textContent}`);
        chip.onclick = () => choose(key, name);
        if (key === "dislike") chip.className = "no";
        line.append(chip);
        return line;
      }),
    );
  }
}

function choose(key, name) {
  const other = key === "like" ? "dislike" : "like";
  state[other] = state[other].filter((each) => each !== name);
  state[key] = state[key].includes(name) ? state[key].filter((each) => each !== name) : [...state[key], name];
  search();
}

function showPressed() {
  for (const button of document.querySelectorAll("[data-act=like], [data-act=dislike]")) {
    const name = button.closest(".card").dataset.name;
    button.setAttribute("aria-pressed", String(state[button.dataset.act].includes(name)));
  }
}

// ------------------------------------------------------------------ the answers

// The thumbnail at once, and the shop's own photo when it is there.
function showLarge(image, address) {
  image.src = address;
  if (!address.startsWith("photos/")) return;
  const large = new Image();
  large.onload = () => {
    if (image.getAttribute("src") === address) image.src = large.src;
  };
  large.src = `${address}&large=1`;
}

function compare(card) {
  const { title, image, link, others } = card.dataset;
  const left = state.file ? $("photo").src : titles.get(state.like[0])?.image;
  $("left").hidden = !left;
  if (left) showLarge($("left-image"), left);
  $("compare-title").textContent = title;
  const show = (address) => showLarge($("right-image"), address);
  show(image);
  $("right-image").alt = title;
  $("right-caption").textContent = title;
  const addresses = others ? [image, ...others.split("\n")] : [];
  $("more-photos").replaceChildren(
    ...addresses.map((each, number) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-label", `Photo ${number + 1} of ${title}`);
      button.append(Object.assign(document.createElement("img"), { src: each, alt: "" }));
      button.onclick = () => show(each);
      return button;
    }),
  );
  $("to-shop").hidden = !link;
  if (link) $("to-shop").href = link;
  $("compare").showModal();
}

async function wrong(card, button) {
  const first = state.file ? await fingerprint(state.file) : state.like[0];
  const { catalogue } = document.body.dataset;
  const second = `photo:${card.dataset.photo}`;
  const body = JSON.stringify({ first, second, decision: "different", catalogue });
  const headers = { "content-type": "application/json" };
  const answer = await fetch("api/marks", { method: "POST", body, headers });
  button.setAttribute("aria-pressed", String(answer.ok));
  button.setAttribute("aria-label", answer.ok ? "Marked as wrong" : "Could not be marked");
  if (!answer.ok) problem((await answer.json()).error.message);
}

// A photo itself is never kept: its mark names its SHA-256 and the box.
async function fingerprint(file) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `sha256:${hex}${state.box ? `#${state.box.map((n) => n.toFixed(4)).join(",")}` : ""}`;
}

function act(event) {
  const target = event.target.closest("[data-act]"), card = target?.closest(".card");
  if (!card) return;
  const { name, title, image } = card.dataset;
  titles.set(name, { title, image });
  if (target.dataset.act === "compare") compare(card);
  else if (target.dataset.act === "wrong") wrong(card, target);
  else if (target.dataset.act !== "similar") choose(target.dataset.act, name);
}

// -------------------------------------------------------------------- the start

function filtersFromAddress() {
  for (const text of state.where) {
    const found = text.match(/^"((?:[^"]|"")*)" (in|=|>=|<=) (.*)$/);
    const set = found && document.querySelector(`fieldset[data-field="${CSS.escape(found[1])}"]`);
    if (!set) continue;
    if (found[2] === ">=" || found[2] === "<=") {
      set.querySelector(`[data-end=${found[2] === ">=" ? "least" : "most"}]`).value = found[3];
      continue;
    }
    const values = [...found[3].matchAll(/"((?:[^"]|"")*)"|([^,]+)/g)].map((m) => (m[1] ?? m[2]).replaceAll('""', '"'));
    for (const input of set.querySelectorAll("input")) input.checked = values.includes(input.value);
  }
}

function start() {
  filtersFromAddress();
  if (matchMedia("(min-width: 901px)").matches && $("filters")) $("filters").open = true;
  for (const link of document.querySelectorAll(".samples a")) {
    const name = new URL(link.href).searchParams.get("like");
    titles.set(name, { title: link.textContent.trim(), image: link.querySelector("img").getAttribute("src") });
  }
  if ($("drop")) {
    $("choose").onclick = () => $("file").click();
    $("take").onclick = () => $("camera").click();
    for (const id of ["file", "camera"]) {
      $(id).onchange = () => {
        take($(id).files[0]);
        $(id).value = "";
      };
    }
    $("other").onclick = another;
    $("draw").onclick = () => {
      setBox([0.2, 0.1, 0.6, 0.8]);
      $("box").focus();
      search();
    };
    $("whole").onclick = () => {
      setBox(null);
      $("draw").focus();
      search();
    };
    $("stage").addEventListener("pointerdown", drag);
    $("box").addEventListener("keydown", keys);
    for (const kind of ["dragover", "drop"]) {
      document.addEventListener(kind, (event) => {
        event.preventDefault();
        $("drop").classList.toggle("over", kind === "dragover");
        if (kind === "drop") take(event.dataTransfer.files[0]);
      });
    }
    document.addEventListener("dragleave", (event) => event.relatedTarget || $("drop").classList.remove("over"));
    document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
  }
  $("answers").addEventListener("click", act);
  $("by").onchange = search;
  $("filter-form")?.addEventListener("change", search);
  $("filter-form")?.addEventListener("submit", (event) => event.preventDefault());
  $("filter-form")?.addEventListener("reset", () => setTimeout(search));
  if ($("catalogue")) $("catalogue").onchange = () => $("catalogue").form.submit();
  $("share").onclick = async () => {
    await navigator.clipboard.writeText(new URL(address(), document.baseURI).href);
    $("shared").textContent = "Link copied";
  };
  $("share").hidden = !state.like.length;
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  $("theme").onclick = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  };
  showChips();
  showPressed();
  if ($("filter-count") && state.where.length) $("filter-count").textContent = `${state.where.length} set`;
}

start();
