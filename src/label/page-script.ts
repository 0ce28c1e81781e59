/** @file The script of the labelling page. The page's policy allows this text and no other. */

/**
 * Keys: the number or letter of a choice, X for none of them, C for "cannot tell", N to go on without an answer, Backspace to take
 * back the last one, / for the search. An answer counts, and the next picture comes, when the server has kept it.
 */
export const labelScript = `
"use strict";
const $ = (id) => document.getElementById(id);
const keys = "1234567890QWERTYUIOP";
let page, labeller = "", standing, at = 0, isBusy = false, history = [], skipped = [];

const ask = async (path, options) => {
  const response = await fetch(path, options);
  if (!response.ok) throw new Error(await response.text());
  return response.json();
};
const remembered = {
  get: () => { try { return sessionStorage.getItem("labeller") || ""; } catch { return ""; } },
  set: (name) => { try { sessionStorage.setItem("labeller", name); } catch { /* the name is asked again */ } },
};
const tell = (text, isBad = false) => {
  $("notice").textContent = text;
  $("notice").className = isBad ? "notice bad" : "notice";
};

function next() {
  const open = page.questions.map((_, i) => i).filter((i) => !(page.questions[i].id in standing.answers));
  const fresh = open.filter((i) => !skipped.includes(i));
  if (fresh.length === 0) skipped = [];
  const rest = fresh.length > 0 ? fresh : open;
  at = rest.find((i) => i > at) ?? rest[0] ?? -1;
  show();
}

function button(text, key, press, isPressed) {
  const element = document.createElement("button");
  element.type = "button";
  const mark = document.createElement("kbd");
  mark.textContent = key;
  element.append(mark, " " + text);
  element.setAttribute("aria-pressed", String(isPressed));
  element.addEventListener("click", press);
  return element;
}

function show() {
  const answered = Object.keys(standing.answers).length;
  const all = page.questions.length;
  $("bar").max = Math.max(1, all);
  $("bar").value = answered;
  const soonest = standing.isDecided
    ? "The answers decide the verdict: you may stop."
    : answered >= standing.earliest ? "" : "It cannot end before " + standing.earliest + " answers.";
  $("progress").textContent = answered + " of at most " + all + " answered. " + soonest;
  $("people").textContent = [labeller, ...standing.agreement.map((one) =>
    "agreement with " + one.with + ": kappa " + (one.kappa === null ? "not defined" : one.kappa.toFixed(2)) + " on " + one.questions)].join(" · ");
  const isOver = at < 0;
  for (const id of ["other", "unknown", "skip"]) $(id).hidden = isOver;
  $("search").hidden = isOver || page.classes.length === 0;
  $("undo").disabled = history.length === 0;
  $("choices").replaceChildren();
  if (isOver) {
    $("question").textContent = "All questions are answered. Close this page, and end espalier label with Ctrl-C.";
    $("picture").hidden = true;
    return;
  }
  const { id, choices } = page.questions[at];
  $("question").textContent = "Question " + (at + 1) + " of " + all;
  const given = standing.answers[id];
  const picture = $("picture");
  picture.hidden = false;
  picture.alt = "Picture of question " + (at + 1);
  if (picture.dataset.id !== id) {
    picture.dataset.id = id;
    picture.onload = () => picture.classList.toggle("small", picture.naturalWidth < 200);
    picture.onerror = () => tell("The picture cannot be shown. Is espalier label still running?", true);
    picture.src = "pictures/" + id + ".png";
  }
  $("choices").className = choices.length > 6 ? "choices" : "choices few";
  for (const [i, { value, name }] of choices.entries()) {
    const item = document.createElement("li");
    item.append(button(name, keys[i] ?? "", () => answer(value), given === value));
    $("choices").append(item);
  }
  const mark = document.createElement("kbd");
  mark.textContent = page.classes.length > 0 ? String(choices.length + 1) : "X";
  $("other").replaceChildren(mark, page.classes.length > 0 ? " Another class" : " None of these");
}

async function send(id, choice) {
  if (isBusy) return false;
  isBusy = true;
  try {
    const body = JSON.stringify({ question: id, labeller, choice });
    standing = await ask("answers", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    tell("");
    return true;
  } catch (error) {
    tell("The answer was not kept (" + error.message + "). Is espalier label still running? What was answered before is safe.", true);
    return false;
  } finally {
    isBusy = false;
  }
}

async function answer(choice) {
  if (at < 0) return;
  const { id } = page.questions[at];
  if (!(await send(id, choice))) return;
  history.push(at);
  $("find").value = "";
  $("find").blur();
  next();
}

async function undo() {
  const last = history.at(-1);
  if (last === undefined || !(await send(page.questions[last].id, null))) return;
  history.pop();
  at = last;
  show();
}

function skip() {
  if (at < 0 || isBusy) return;
  skipped.push(at);
  next();
}

function search() {
  const text = $("find").value.trim().toLowerCase();
  if (text === "") return;
  const exact = page.classes.findIndex((name) => name.toLowerCase() === text);
  const found = page.classes.map((_, k) => k).filter((k) => page.classes[k].toLowerCase().includes(text));
  const value = exact >= 0 ? exact : found.length === 1 ? found[0] : -1;
  if (value < 0) tell(found.length === 0 ? "No class has this name." : found.length + " classes have this in their names: write more of it.", true);
  else answer(value);
}

addEventListener("keydown", (event) => {
  if ($("work").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === $("find")) {
    if (event.key === "Enter") search();
    else if (event.key === "Escape") $("find").blur();
    return;
  }
  if (event.repeat) return;
  const key = event.key.toUpperCase();
  const place = at < 0 ? -1 : keys.indexOf(key);
  const choices = at < 0 ? [] : page.questions[at].choices;
  const isSearched = page !== undefined && page.classes.length > 0;
  if (event.key === "Backspace") undo();
  else if (key === "/" && isSearched) $("find").focus();
  else if (key.length === 1 && place >= 0 && place < choices.length) answer(choices[place].value);
  else if (at >= 0 && isSearched && place === choices.length) answer("other");
  else if (key === "X") answer("other");
  else if (key === "C") answer("unknown");
  else if (key === "N") skip();
  else return;
  event.preventDefault();
});

async function begin(name) {
  labeller = name;
  try {
    page ??= await ask("questions");
    standing = await ask("standing?labeller=" + encodeURIComponent(name));
  } catch (error) {
    $("progress").textContent = "The questions cannot be read (" + error.message + ").";
    return;
  }
  remembered.set(name);
  $("classes").replaceChildren(...page.classes.map((text) => Object.assign(document.createElement("option"), { value: text })));
  $("who").hidden = true;
  $("work").hidden = false;
  at = -1;
  next();
}

$("other").addEventListener("click", () => answer("other"));
$("unknown").addEventListener("click", () => answer("unknown"));
$("skip").addEventListener("click", skip);
$("undo").addEventListener("click", undo);
$("take").addEventListener("click", search);
$("who").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("labeller").value.trim();
  if (name !== "") begin(name);
});
const known = remembered.get();
if (known === "") {
  $("who").hidden = false;
  $("labeller").focus();
} else begin(known);
`;
