"use strict";
(() => {
  const ballot = JSON.parse(document.getElementById("ballot").textContent);
  const screens = ballot.screens;
  const STORE = `bluepencil:${ballot.study_id}:${ballot.page_id}`;
  const SCREENS_BETWEEN_BREAKS = 20;
  const WIDE = { left: "Left is better", tie: "About equal", right: "Right is better" };
  const NARROW = { left: "A is better", tie: "About equal", right: "B is better" };
  const STRENGTHS = ["", "slight", "clear"];
  const REASONS = ["clearer", "more convincing", "better tone", "closer to the task", "fewer errors"];
  const RECEIPT_DIGITS = 20; // of the file's SHA-256: 80 bits
  const narrow = matchMedia("(max-width: 44rem)"); // there the texts are A and B
  const $ = (id) => document.getElementById(id);

  const choices = () => (narrow.matches ? NARROW : WIDE);

  let state = { revision: 0, position: 0, sealed: false, shortcuts: true, swift: false, answers: {} };
  let byPointer = false; // was the last thing that the editor used a mouse, pen or finger?
  let stored = true; // does this browser keep answers?
  let unsaved = false; // changed since the last backup, while the browser keeps nothing
  const undoStack = [];

  // ---------------------------------------------------------------- answers

  const known = new Set(screens.map((screen) => screen.slot_id));

  function soundAnswer(answer) {
    if (!answer || !Object.hasOwn(WIDE, answer.choice)) return null;
    return {
      choice: answer.choice,
      strength: STRENGTHS.includes(answer.strength) ? answer.strength : "",
      reasons: REASONS.filter((reason) => Array.isArray(answer.reasons) && answer.reasons.includes(reason)),
      note: wellFormed(typeof answer.note === "string" ? answer.note : ""),
    };
  }

  function soundAnswers(answers) {
    const sound = {};
    for (const [slot, answer] of Object.entries(answers && typeof answers === "object" ? answers : {})) {
      const kept = known.has(slot) ? soundAnswer(answer) : null;
      if (kept) sound[slot] = kept;
    }
    return sound;
  }

  function wellFormed(text) {
    return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
  }

  const nAnswered = () => screens.filter((screen) => state.answers[screen.slot_id]).length;

  // ---------------------------------------------------------------- keeping

  function readStore() {
    try {
      const found = JSON.parse(localStorage.getItem(STORE));
      if (!found || typeof found.revision !== "number") return null;
      return {
        revision: found.revision,
        position: Math.min(Math.max(Number(found.position) || 0, 0), screens.length - 1),
        sealed: found.sealed === true,
        shortcuts: found.shortcuts !== false,
        swift: found.swift === true,
        answers: soundAnswers(found.answers),
      };
    } catch {
      return null;
    }
  }

  function pull() {
    const found = readStore();
    if (found && found.revision > state.revision) {
      state = { ...found, position: state.position };
      return true;
    }
    return false;
  }

  function push() {
    state.revision += 1;
    try {
      const text = JSON.stringify(state);
      localStorage.setItem(STORE, text);
      stored = localStorage.getItem(STORE) === text;
    } catch {
      stored = false;
    }
    unsaved = !stored;
    const warning = $("warning");
    warning.hidden = stored;
    warning.textContent = stored
      ? ""
      : "This browser does not keep your answers. Use “Save a backup” before you close this page.";
    for (const place of document.querySelectorAll(".kept")) {
      place.textContent = stored
        ? "This browser keeps your answers. You can close this page and come back, but not in a private window: there, save a backup."
        : "This browser keeps nothing. Save a backup before you close this page; it goes on from there.";
    }
  }

  function change(slot, answer) {
    pull();
    if (state.sealed) return show();
    undoStack.push({ slot, before: state.answers[slot] ?? null });
    if (answer) state.answers[slot] = answer;
    else delete state.answers[slot];
    push();
  }

  window.addEventListener("storage", (event) => {
    if (event.key === STORE && pull()) {
      if (state.sealed) showDone();
      else show();
      say(state.sealed ? "Sealed in another tab." : "Continued with the answers from another tab.");
    }
  });

  window.addEventListener("beforeunload", (event) => {
    if (unsaved) event.preventDefault();
  });

  // ---------------------------------------------------------------- showing

  function say(text) {
    $("status").textContent = text;
  }

  function only(id) {
    for (const section of ["start", "judge", "review", "done"]) $(section).hidden = section !== id;
    $("answer").hidden = id !== "judge";
    closeMenu();
  }

  function show() {
    $("progress").max = screens.length;
    $("progress").value = nAnswered();
    $("place").textContent = `${nAnswered()} of ${screens.length} answered`;
    if (state.sealed && $("review").hidden) return showDone();
    if (!$("review").hidden) return showReview();
    only("judge");
    showScreen();
  }

  function showStart() {
    only("start");
    const each = Number($("length").dataset.minutes);
    const minutes = Math.ceil(screens.length * each);
    const about = minutes < 60 ? `${minutes} minutes` : `${Math.round(minutes / 30) / 2} hours`;
    $("length").textContent = `${screens.length} screens. At ${each} min each that is about ${about}.`;
    $("begin").focus({ preventScroll: true });
  }

  function closeMenu() {
    document.querySelector("header").classList.remove("open");
    $("menu").setAttribute("aria-expanded", "false");
  }

  function showScreen() {
    const screen = screens[state.position];
    const answer = state.answers[screen.slot_id];
    $("judge-title").textContent = `Screen ${state.position + 1} of ${screens.length}`;
    $("break").hidden = state.position === 0 || state.position % SCREENS_BETWEEN_BREAKS !== 0;
    $("prompt").textContent = screen.prompt;
    for (const side of ["left", "right"]) $(side).textContent = screen[side] === "" ? "(no text)" : screen[side];
    for (const input of document.querySelectorAll("[name=choice]")) input.checked = answer?.choice === input.value;
    for (const input of document.querySelectorAll("[name=strength]")) {
      input.checked = (answer?.strength ?? "") === input.value;
    }
    for (const input of document.querySelectorAll("[name=reason]")) {
      input.checked = answer ? answer.reasons.includes(input.value) : false;
    }
    $("note").value = answer?.note ?? "";
    for (const input of document.querySelectorAll("#more input, #more textarea, #dock input")) input.disabled = state.sealed;
    for (const side of ["left", "right"]) $(`side-${side}`).classList.toggle("chosen", answer?.choice === side);
    $("back").disabled = state.position === 0;
    $("undo").disabled = undoStack.length === 0 || state.sealed;
    $("more").open = Boolean(answer && (answer.strength || answer.reasons.length || answer.note));
  }

  function go(position) {
    state.position = Math.min(Math.max(position, 0), screens.length - 1);
    only("judge");
    if (!state.sealed) push();
    showScreen();
    $("place").textContent = `${nAnswered()} of ${screens.length} answered`;
    $("judge").scrollIntoView(); // not the page's top: at 400 % the header alone fills a screen
    $("judge-title").focus({ preventScroll: true });
  }

  function firstOpen(from) {
    for (let step = 0; step < screens.length; step += 1) {
      const position = (from + step) % screens.length;
      if (!state.answers[screens[position].slot_id]) return position;
    }
    return -1;
  }

  function showReview() {
    only("review");
    const open = screens.length - nAnswered();
    $("review-summary").textContent = state.sealed
      ? "This ballot is sealed."
      : open === 0
        ? "Every screen is answered. You may look again at any of them, then seal the ballot."
        : `${open} of ${screens.length} screens are still open.`;
    const list = $("review-list");
    list.replaceChildren();
    screens.forEach((screen, position) => {
      const answer = state.answers[screen.slot_id];
      const button = document.createElement("button");
      button.type = "button";
      const label = document.createElement("span");
      label.className = answer ? "answered" : "open";
      label.textContent = `${position + 1}. ${answer ? choices()[answer.choice] : "open"}`;
      const excerpt = document.createElement("span");
      excerpt.className = "excerpt";
      excerpt.dir = "auto";
      excerpt.textContent = Array.from(screen.prompt).slice(0, 80).join("");
      button.append(label, excerpt);
      button.addEventListener("click", () => go(position));
      const row = document.createElement("li");
      row.append(button);
      list.append(row);
    });
    $("seal").disabled = open > 0 || state.sealed;
    $("seal").hidden = state.sealed;
    $("resume").textContent = state.sealed ? "Back to the receipt" : "Go on judging";
    $("seal-question").hidden = true;
  }

  function openReview() {
    showReview();
    $("review").scrollIntoView();
    $("review-title").focus({ preventScroll: true });
  }

  function showDone() {
    only("done");
    const bytes = exportBytes();
    $("file-name").textContent = fileName();
    $("receipt").textContent = sha256(bytes).slice(0, RECEIPT_DIGITS).replace(/(.{5})(?=.)/g, "$1 ");
  }

  // ---------------------------------------------------------------- judging

  function answerFromForm() {
    const choice = document.querySelector("[name=choice]:checked");
    if (!choice) return null;
    return soundAnswer({
      choice: choice.value,
      strength: document.querySelector("[name=strength]:checked")?.value ?? "",
      reasons: Array.from(document.querySelectorAll("[name=reason]:checked"), (input) => input.value),
      note: $("note").value,
    });
  }

  function keepForm() {
    const answer = answerFromForm();
    if (!answer) {
      if ($("note").value || document.querySelector("[name=reason]:checked")) {
        say("Choose left, equal or right first; the rest is kept with it.");
      }
      return;
    }
    const slot = screens[state.position].slot_id;
    if (canonical(state.answers[slot] ?? null) === canonical(answer)) return;
    change(slot, answer);
    for (const side of ["left", "right"]) $(`side-${side}`).classList.toggle("chosen", answer.choice === side);
    $("undo").disabled = false;
    $("progress").value = nAnswered();
    $("place").textContent = `${nAnswered()} of ${screens.length} answered`;
  }

  function choose(value) {
    if (state.sealed) return;
    const input = document.querySelector(`[name=choice][value=${value}]`);
    if (input.checked) return confirmAndGoOn(); // the same again
    input.checked = true;
    input.focus({ preventScroll: true }); // so that Enter confirms, whatever had the focus before
    keepForm();
    if (state.swift) return confirmAndGoOn();
    return say(`${choices()[value]}. ${narrow.matches ? "Confirm to go on." : "The same key again, or Enter, goes on."}`);
  }

  function tap(side) {
    if (state.sealed || !getSelection().isCollapsed) return; // words are being marked
    if (!document.querySelector(`[name=choice][value=${side}]`).checked) choose(side);
  }

  function confirmAndGoOn() {
    if (state.sealed) return go(state.position + 1);
    if (!answerFromForm()) {
      say("Choose left, equal or right first.");
      document.querySelector("[name=choice]").focus();
      return undefined;
    }
    keepForm();
    const position = state.position;
    const next = position + 1 < screens.length ? position + 1 : firstOpen(0);
    if (next === -1 || firstOpen(0) === -1) {
      openReview();
      say("Every screen is answered. Look again at any of them, or seal the ballot.");
      return undefined;
    }
    const kept = choices()[answerFromForm().choice];
    go(next);
    return say(state.swift ? `${kept}, on screen ${position + 1}. “Undo” takes it back.` : "");
  }

  function undo() {
    const last = undoStack.pop();
    if (!last || state.sealed) return say("There is nothing to undo.");
    pull();
    if (state.sealed) return show();
    if (last.before) state.answers[last.slot] = last.before;
    else delete state.answers[last.slot];
    go(screens.findIndex((screen) => screen.slot_id === last.slot));
    $("progress").value = nAnswered();
    return say("Undone.");
  }

  // ---------------------------------------------------------------- files

  function canonical(value) {
    if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
    if (value && typeof value === "object") {
      const rows = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
      return `{${rows.join(",")}}`;
    }
    return JSON.stringify(value);
  }

  function exportBytes() {
    const body = {
      format: "blue-pencil-ballot-1",
      study_id: ballot.study_id,
      page_id: ballot.page_id,
      editor: ballot.editor,
      key_sha256: ballot.key_sha256,
      synthetic: ballot.synthetic,
      answers: screens.map((screen) => ({ slot_id: screen.slot_id, ...state.answers[screen.slot_id] })),
    };
    const encode = (value) => new TextEncoder().encode(value);
    const content_sha256 = sha256(encode(canonical(body)));
    return encode(`${canonical({ ...body, content_sha256 })}\n`);
  }

  const fileName = () => `ballot-${ballot.study_id}-${ballot.editor}.json`;

  function saveFile(name, bytes) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes], { type: "application/json" }));
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  function seal() {
    pull();
    if (firstOpen(0) !== -1) return showReview();
    if (!state.sealed) {
      state.sealed = true;
      push();
    }
    showDone();
    saveFile(fileName(), exportBytes());
    $("done-title").focus();
    return say("Sealed. The browser was asked to save the ballot file. If you do not find it, save it again.");
  }

  function saveBackup() {
    const body = { format: "blue-pencil-backup-1", page_id: ballot.page_id, sealed: state.sealed, answers: state.answers };
    saveFile(`backup-${ballot.study_id}-${ballot.editor}.json`, new TextEncoder().encode(`${canonical(body)}\n`));
    unsaved = false;
    say("The browser was asked to save a backup file. Look for it among your downloads.");
  }

  async function loadBackup(file) {
    let body = null;
    try {
      body = JSON.parse(await file.text());
    } catch {
      return say("This file is no backup: it cannot be read. Nothing was changed.");
    }
    if (body?.format !== "blue-pencil-backup-1") return say("This file is no backup. Nothing was changed.");
    if (body.page_id !== ballot.page_id) return say("This backup belongs to another ballot. Nothing was changed.");
    pull();
    if (state.sealed) return say("This ballot is sealed. Nothing was changed.");
    const answers = soundAnswers(body.answers);
    Object.assign(state.answers, answers);
    undoStack.length = 0;
    state.sealed = body.sealed === true && firstOpen(0) === -1;
    push();
    show();
    if (!state.sealed) go(Math.max(firstOpen(0), 0));
    return say(`Loaded ${Object.keys(answers).length} answers from the backup.`);
  }

  async function copyReceipt() {
    try {
      await navigator.clipboard.writeText($("receipt").textContent);
      return say("The receipt is copied.");
    } catch {
      getSelection().selectAllChildren($("receipt"));
      return say(document.execCommand("copy") ? "The receipt is copied." : "The receipt is marked: copy it with Ctrl+C or a long press.");
    }
  }

  // SHA-256 (FIPS 180-4). Browsers offer their own only to pages that came over a secure connection.
  function sha256(bytes) {
    const primes = [];
    for (let n = 2; primes.length < 64; n += 1) if (primes.every((p) => n % p)) primes.push(n);
    const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
    const k = primes.map((p) => fraction(Math.cbrt(p)));
    const h = primes.slice(0, 8).map((p) => fraction(Math.sqrt(p)));
    const rotate = (x, n) => (x >>> n) | (x << (32 - n));
    const padded = new Uint8Array((((bytes.length + 8) >> 6) + 1) * 64);
    padded.set(bytes);
    padded[bytes.length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setUint32(padded.length - 8, Math.floor((bytes.length * 8) / 2 ** 32));
    view.setUint32(padded.length - 4, (bytes.length * 8) >>> 0);
    const w = new Int32Array(64);
    for (let block = 0; block < padded.length; block += 64) {
      for (let i = 0; i < 16; i += 1) w[i] = view.getInt32(block + 4 * i);
      for (let i = 16; i < 64; i += 1) {
        const s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >>> 3);
        const s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >>> 10);
        w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
      }
      let [a, b, c, d, e, f, g, last] = h;
      for (let i = 0; i < 64; i += 1) {
        const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        const t1 = (last + s1 + ((e & f) ^ (~e & g)) + k[i] + w[i]) | 0;
        const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        [a, b, c, d, e, f, g, last] = [(t1 + t2) | 0, a, b, c, (d + t1) | 0, e, f, g];
      }
      [a, b, c, d, e, f, g, last].forEach((value, i) => {
        h[i] = (h[i] + value) | 0;
      });
    }
    return h.map((value) => (value >>> 0).toString(16).padStart(8, "0")).join("");
  }

  // ---------------------------------------------------------------- paper

  function element(name, text, className) {
    const made = document.createElement(name);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function paragraph(text) {
    const made = element("p", text === "" ? "(no text)" : text, "text");
    made.dir = "auto";
    return made;
  }

  // On paper all screens are read one after the other; the answers go into the page, where they are sealed.
  function fillSheet() {
    const sheet = $("sheet");
    sheet.replaceChildren(element("h1", `Ballot of ${ballot.editor}${ballot.synthetic ? " (rehearsal)" : ""}`));
    sheet.append(element("p", `Study ${ballot.study_id}. ${nAnswered()} of ${screens.length} answered.`));
    if (state.sealed) sheet.append(element("p", `Sealed. Receipt: ${$("receipt").textContent}`));
    screens.forEach((screen, position) => {
      const section = element("section", "");
      const sides = element("div", "", "sides");
      for (const [side, title] of [["left", "Left"], ["right", "Right"]]) {
        const article = element("article", "", "side");
        article.append(element("h3", title), paragraph(screen[side]));
        sides.append(article);
      }
      const chosen = state.answers[screen.slot_id]?.choice;
      const boxes = Object.entries(WIDE).map(([choice, label]) => `${choice === chosen ? "☒" : "☐"} ${label}`);
      section.append(element("h2", `Screen ${position + 1} of ${screens.length}`), paragraph(screen.prompt));
      section.append(sides, element("p", boxes.join("     "), "boxes text"));
      sheet.append(section);
    });
    sheet.hidden = false;
  }

  function clearSheet() {
    $("sheet").hidden = true;
    $("sheet").replaceChildren();
  }

  // ---------------------------------------------------------------- wiring

  window.addEventListener("beforeprint", fillSheet);
  window.addEventListener("afterprint", clearSheet);

  $("form").addEventListener("change", (event) => {
    if ($("judge").hidden) return;
    keepForm();
    if (event.target.name === "choice" && byPointer && state.swift) confirmAndGoOn();
  });
  document.addEventListener("pointerdown", () => {
    byPointer = true;
  });
  $("note").addEventListener("blur", keepForm);
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!$("judge").hidden) confirmAndGoOn();
  });
  for (const side of ["left", "right"]) $(`side-${side}`).addEventListener("click", () => tap(side));
  $("begin").addEventListener("click", () => {
    go(Math.max(firstOpen(state.position), 0));
    say("");
  });
  $("menu").addEventListener("click", () => {
    const open = document.querySelector("header").classList.toggle("open");
    $("menu").setAttribute("aria-expanded", String(open));
  });
  for (const box of document.querySelectorAll(".swift")) {
    box.addEventListener("change", () => {
      state.swift = box.checked;
      push();
      for (const other of document.querySelectorAll(".swift")) other.checked = state.swift;
    });
  }
  $("break-backup").addEventListener("click", saveBackup);
  $("copy").addEventListener("click", copyReceipt);
  $("back").addEventListener("click", () => go(state.position - 1));
  $("undo").addEventListener("click", undo);
  $("open-review").addEventListener("click", openReview);
  $("resume").addEventListener("click", () => (state.sealed ? showDone() : go(Math.max(firstOpen(state.position), 0))));
  $("seal").addEventListener("click", () => {
    $("seal-question").hidden = false;
    $("seal-no").focus();
  });
  $("seal-no").addEventListener("click", () => {
    $("seal-question").hidden = true;
    $("seal").focus();
  });
  $("seal-yes").addEventListener("click", seal);
  $("download").addEventListener("click", () => saveFile(fileName(), exportBytes()));
  $("look-again").addEventListener("click", openReview);
  $("open-help").addEventListener("click", () => $("help").showModal());
  $("close-help").addEventListener("click", () => $("help").close());
  $("shortcuts").addEventListener("change", (event) => {
    state.shortcuts = event.target.checked;
    push();
  });
  $("save-backup").addEventListener("click", saveBackup);
  $("load-backup").addEventListener("click", () => $("backup-file").click());
  $("backup-file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) loadBackup(file);
  });

  document.addEventListener("keydown", (event) => {
    byPointer = false;
    if (event.ctrlKey || event.altKey || event.metaKey || $("help").open || !state.shortcuts) return;
    if (event.target instanceof HTMLTextAreaElement) return;
    const isRadio = event.target instanceof HTMLInputElement && event.target.type === "radio";
    const judging = !$("judge").hidden;
    const actions = {
      1: judging && (() => choose("left")),
      2: judging && (() => choose("tie")),
      3: judging && (() => choose("right")),
      b: judging && (() => go(state.position - 1)),
      n: judging && (() => go(state.position + 1)),
      u: judging && undo,
      o: openReview,
      "?": () => $("help").showModal(),
    };
    const action = actions[event.key.toLowerCase()];
    const isControl = event.target instanceof HTMLElement && event.target.closest("button, a, summary, input, textarea");
    if (event.key === "Enter" && judging && (!isControl || isRadio)) {
      event.preventDefault();
      confirmAndGoOn();
    } else if (action) {
      event.preventDefault();
      action();
    }
  });

  const found = readStore();
  if (found) state = found;
  $("shortcuts").checked = state.shortcuts;
  for (const box of document.querySelectorAll(".swift")) box.checked = state.swift;
  const isNew = !state.sealed && nAnswered() === 0;
  show();
  push();
  if (isNew) showStart();
  else say(state.sealed ? "This ballot is sealed." : `Welcome back. ${nAnswered()} of ${screens.length} are answered.`);
})();
