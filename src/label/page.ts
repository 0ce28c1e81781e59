/** @file The labelling page: one picture, a few buttons, keys for all of them. It speaks with its own server alone. */
import { createHash } from "node:crypto";
import { html, trusted } from "../report/page/html.ts";
import { styleSheet } from "../report/page/style.ts";
import { labelScript } from "./page-script.ts";

const ownStyle = `
main { max-width: 84rem; }
#work { display: grid; grid-template-columns: minmax(0, 3fr) minmax(17rem, 2fr); gap: .5rem 2rem;
  padding-bottom: 2rem; }
[hidden] { display: none !important; }
header { max-width: 84rem; padding-top: 1rem; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; align-items: baseline; }
header h1 { font-size: 1.2rem; margin: 0; }
#progress { margin: 0; font-variant-numeric: tabular-nums; }
#bar { width: 100%; height: .5rem; accent-color: var(--after); }
.picture { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; position: relative;
  height: min(78vh, 52rem); overflow: hidden; }
.picture img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; }
#work section { border-top: 0; margin-top: 0; padding-top: .4rem; min-width: 0; }
.picture img.small { image-rendering: pixelated; }
.choices { display: grid; grid-template-columns: repeat(auto-fill, minmax(11.5rem, 1fr)); gap: .45rem; margin: .5rem 0; padding: 0;
  list-style: none; }
.choices.few { grid-template-columns: 1fr; }
button { font: inherit; color: var(--ink); background: var(--card); border: 1px solid var(--muted); border-radius: 8px;
  padding: .5rem .7rem; min-height: 2.75rem; width: 100%; text-align: left; cursor: pointer; display: flex; gap: .6rem;
  align-items: center; overflow-wrap: anywhere; }
button:hover { border-color: var(--link); }
button:disabled { opacity: .55; cursor: default; }
button[aria-pressed="true"] { border-color: var(--link); background: var(--note-soft); box-shadow: inset 0 0 0 1px var(--link); }
button:focus-visible, input:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
kbd { font: .8rem ui-monospace, Menlo, Consolas, monospace; border: 1px solid var(--muted); border-radius: 4px;
  padding: 0 .35rem; min-width: 1.5rem; text-align: center; color: var(--ink); background: var(--page); }
.others { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: .45rem; margin: .5rem 0; }
label { display: block; margin: .6rem 0 .2rem; font-size: .9rem; }
input { font: inherit; color: var(--ink); background: var(--page); border: 1px solid var(--muted); border-radius: 8px;
  padding: .5rem .7rem; width: 100%; min-height: 2.75rem; }
form.name { max-width: 28rem; margin: 2rem auto; padding: 0 1rem; }
.notice { margin: .6rem 0; min-height: 1.6rem; }
.notice.bad { color: var(--bad); font-weight: 600; }
@media (max-width: 46rem) {
  #work { grid-template-columns: minmax(0, 1fr); }
  .picture { height: 44vh; }
  .choices { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .choices.few, .others { grid-template-columns: 1fr; }
  .others { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
`;

const style = `${styleSheet}${ownStyle}`;

function digestOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** What the page may do: its own style and script, pictures and answers of its own server, nothing else. */
export const labelPolicy = [
  "default-src 'none'",
  `style-src ${digestOf(style)}`,
  `script-src ${digestOf(labelScript)}`,
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The page. What it shows comes from the server, as text and never as markup. */
export function labelPage(): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>Which class is this? · Espalier</title>
<style>${trusted(style)}</style>
</head>
<body>
<header>
<h1>Which class is this?</h1>
<p id="progress" role="status"></p>
</header>
<main>
<form class="name" id="who" hidden>
<p>Your answers are kept under your name, so that several people can answer.</p>
<label for="labeller">Your name</label>
<input id="labeller" name="labeller" maxlength="60" autocomplete="off" required>
<p><button type="submit">Begin <kbd>Enter</kbd></button></p>
</form>
<div id="work" hidden>
<section aria-label="Picture">
<figure class="picture"><img id="picture" alt=""></figure>
<progress id="bar" aria-label="Answered questions" max="1" value="0"></progress>
</section>
<section aria-label="Answer">
<p id="question" tabindex="-1"></p>
<ul class="choices" id="choices"></ul>
<div id="search" hidden>
<label for="find">Another class, by name <kbd>/</kbd></label>
<input id="find" list="classes" autocomplete="off">
<datalist id="classes"></datalist>
<p><button type="button" id="take"><kbd>Enter</kbd> Answer with this class</button></p>
</div>
<div class="others">
<button type="button" id="other"></button>
<button type="button" id="unknown"><kbd>C</kbd> Cannot tell</button>
<button type="button" id="skip"><kbd>N</kbd> Next, answer later</button>
<button type="button" id="undo"><kbd>⌫</kbd> Undo</button>
</div>
<p class="notice" id="notice" role="alert"></p>
<p><small id="people"></small></p>
</section>
</div>
</main>
<script>${trusted(labelScript)}</script>
</body>
</html>
`.html;
}
