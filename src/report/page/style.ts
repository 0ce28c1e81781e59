/** @file The style sheet of reports, for screens of any size, light and dark, and for paper. */

/** Colours by role. Blue and orange are told apart by the colour-blind; text keeps 4.5 : 1 and more. */
const light = `
  --page: #ffffff; --card: #f5f7f9; --line: #d9dee4; --grid: #e8ebef;
  --ink: #161b22; --muted: #586271; --link: #0a5c9e;
  --before: #b4bdc8; --after: #1170b8; --bad: #b94708; --good: #0b7a53;
  --shade: rgb(22 27 34 / .22); --bad-soft: #fdf1e8; --good-soft: #e8f5ef; --note-soft: #eef4fa;
  --s1: #1170b8; --s2: #c4500c; --s3: #0b7a53; --s4: #9c4285; --s5: #8a6d00;`;
const dark = `
  --page: #11151a; --card: #191f26; --line: #343d48; --grid: #252d36;
  --ink: #e7ebf0; --muted: #a0abb8; --link: #7cc0f5;
  --before: #5d6875; --after: #5cb3f0; --bad: #f29a5c; --good: #4fc795;
  --shade: rgb(220 232 245 / .28); --bad-soft: #2c2018; --good-soft: #15281f; --note-soft: #182430;
  --s1: #5cb3f0; --s2: #f29a5c; --s3: #4fc795; --s4: #d990c6; --s5: #d9bd4a;`;

/** The style sheet. Charts take their colours from the same variables. */
export const styleSheet = `
:root { color-scheme: light dark; ${light} }
@media (prefers-color-scheme: dark) { :root { ${dark} } }
@media print { :root { color-scheme: light; ${light} } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main, header, footer { max-width: 60rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.6rem; }
p, li, dd, h1, h2, h3, figcaption, summary { overflow-wrap: anywhere; }
p { margin: .4rem 0; max-width: 52rem; }
a { color: var(--link); }
h1 { font-size: clamp(1.5rem, 5vw, 2.1rem); line-height: 1.2; letter-spacing: -.015em; margin: .1rem 0 .5rem; }
h2 { font-size: 1.2rem; line-height: 1.3; letter-spacing: -.01em; margin: 0 0 .3rem; }
h3 { font-size: 1rem; margin: .9rem 0 .2rem; }
section { margin-top: 1.1rem; padding-top: .8rem; border-top: 1px solid var(--line); }
code { font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
code { overflow-wrap: anywhere; }
small, .muted, figcaption { color: var(--muted); }
small, figcaption { font-size: .875rem; }
.kicker { color: var(--muted); font-size: .875rem; margin: 0; }
.lead { font-size: clamp(1.08rem, 2.6vw, 1.25rem); line-height: 1.5; max-width: 52rem; margin: 0 0 .7rem; }
.lead b, .figure b { font-weight: 650; }
b, .value, td, .nowrap { font-variant-numeric: tabular-nums; }
.nowrap { white-space: nowrap; }
.verdict { border-left: 4px solid var(--muted); background: var(--note-soft); border-radius: 0 6px 6px 0;
  padding: .5rem 1rem; margin: .7rem 0; }
.verdict p { margin: .1rem 0; }
.verdict.good { border-color: var(--good); background: var(--good-soft); }
.verdict.bad { border-color: var(--bad); background: var(--bad-soft); }
b.good { color: var(--good); }
b.bad { color: var(--bad); }
nav { margin: .8rem 0 0; font-size: .9rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .15rem 1.1rem; margin: 0; padding: 0; list-style: none; }
nav a { display: inline-block; padding: .2rem 0; text-decoration: none; }
nav a:hover { text-decoration: underline; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.4rem, 1fr)); gap: .7rem; margin: .8rem 0 0;
  padding: 0; }
.supports { display: flex; flex-wrap: wrap; gap: .7rem 1.4rem; }
.supports figure { margin: .3rem 0; }
.supports img { max-width: 100%; height: auto; image-rendering: pixelated; border: 1px solid var(--line); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem .7rem;
  min-width: 0; display: flex; flex-direction: column; }
.card dt { color: var(--muted); font-size: .875rem; }
.card dd { margin: 0; }
.card .value { font-size: 1.5rem; font-weight: 650; letter-spacing: -.02em; line-height: 1.35; }
.card .was { color: var(--muted); font-size: .875rem; }
.card .change { font-size: .875rem; margin-top: auto; padding-top: .3rem; line-height: 1.4; }
.share { height: 6px; background: var(--before); border-radius: 3px; margin-top: .5rem; overflow: hidden; }
.share i { display: block; height: 100%; background: var(--after); }
figure { margin: .6rem 0; }
figcaption { margin: .3rem 0; max-width: 52rem; }
.chart svg { display: block; width: 100%; height: auto; font-size: 12px; overflow: visible; }
.chart .narrow { display: none; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0 2rem; }
.pair > * { min-width: 0; }
.keys { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; list-style: none; margin: .5rem 0 .2rem; padding: 0;
  font-size: .875rem; }
.keys li { display: inline-flex; align-items: center; gap: .4rem; min-width: 0; }
.keys svg { flex: none; display: block; }
.swatch { flex: none; width: .9rem; height: .9rem; border-radius: 3px; border: 1px solid var(--muted); }
.scroll { overflow-x: auto; margin: .5rem 0; border: 1px solid var(--line); border-radius: 8px;
  background: linear-gradient(to right, var(--page) 40%, transparent) left / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--page) 40%, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to right, var(--shade), transparent) left / .9rem 100% no-repeat scroll,
    linear-gradient(to left, var(--shade), transparent) right / .9rem 100% no-repeat scroll, var(--page); }
.scroll:focus-visible, summary:focus-visible, a:focus-visible, .copy:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; line-height: 1.4; }
th, td { padding: .28rem .7rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { border-top: 0; border-bottom: 1px solid var(--line); color: var(--muted); font-weight: 600;
  vertical-align: bottom; }
tbody th { font-weight: 400; }
th.number, td.number { text-align: right; }
td.number { white-space: nowrap; }
td.words { min-width: 12.5rem; overflow-wrap: anywhere; }
td.words b:first-child { white-space: nowrap; }
details { margin: .3rem 0; }
summary { cursor: pointer; color: var(--link); font-size: .9rem; padding: .25rem 0; }
td.bars { white-space: nowrap; min-width: 8.5rem; padding-bottom: .4rem; }
tr:has(td.bars) th { white-space: nowrap; }
.bar { position: relative; height: 5px; margin-top: 2px; }
.bar i { position: absolute; inset: 0 auto 0 0; background: var(--before); border-radius: 2px; }
.bar i + i { background: var(--after); }
.steps { margin: .4rem 0; padding-left: 1.4rem; }
.steps li { margin: .3rem 0; max-width: 58rem; }
.command { display: flex; align-items: center; gap: .6rem; margin: .3rem 0; padding: .3rem .4rem .3rem .8rem; min-height: 2.1rem;
  background: var(--card); border: 1px solid var(--line); border-radius: 6px; }
.command code { flex: 1; user-select: all; -webkit-user-select: all; }
.copy { flex: none; font: inherit; font-size: .8rem; padding: .15rem .6rem; color: var(--link); background: var(--page);
  border: 1px solid var(--line); border-radius: 5px; cursor: pointer; }
.copy:hover { border-color: var(--link); }
.facts { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .3rem 1.4rem; margin: .8rem 0;
  font-size: .92rem; }
.facts dt { color: var(--muted); overflow-wrap: anywhere; }
.facts dd { margin: 0; min-width: 0; }
.strip { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .5rem; }
.strip figure { margin: 0; }
.strip img { display: block; width: 100%; height: auto; border-radius: 4px; image-rendering: pixelated;
  border: 1px solid var(--line); }
.example { margin: .8rem 0; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17.5rem), 1fr)); gap: .4rem 1.6rem; }
.panel { margin: .4rem 0; min-width: 0; }
.panel .two { display: grid; grid-template-columns: 1fr 1fr; gap: .8rem; }
.panel svg { display: block; width: 100%; height: auto; }
footer { margin: 1.6rem auto 1.2rem; color: var(--muted); font-size: .875rem; }
@media (max-width: 40rem) {
  header { padding-top: 1.4rem; }
  .cards { grid-template-columns: 1fr 1fr; gap: .6rem; }
  .card { padding: .65rem .75rem .75rem; }
  .card:first-child { grid-column: 1 / -1; }
  .chart .wide { display: none; }
  .chart .narrow { display: block; max-width: 30rem; }
  nav { overflow-x: auto; margin-right: -1rem; mask-image: linear-gradient(to left, transparent, #000 2.5rem); }
  nav ul { flex-wrap: nowrap; white-space: nowrap; padding-right: 2.5rem; }
  .command { align-items: flex-start; }
  .pair, .facts { grid-template-columns: 1fr; }
  .facts { gap: 0; }
  .facts dd { margin-bottom: .6rem; }
  .strip { grid-template-columns: repeat(6, 1fr); }
  .strip figure { grid-column: span 2; }
  .strip figure:nth-child(-n+2), .strip.unlabelled figure { grid-column: span 3; }
}
@media print {
  @page { margin: 14mm; }
  body { font-size: 10.5pt; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  main, header, footer { max-width: none; padding: 0; }
  header { padding-top: 0; }
  nav, details, .copy { display: none; }
  section { margin-top: 1.4rem; padding-top: .8rem; }
  h2, h3, h2 + p, h2 + p + .keys, .keys, .steps li > b, thead { break-after: avoid; break-inside: avoid; }
  figcaption { break-before: avoid; }
  figure, .card, .verdict, tr, .example, .whole, .steps li, .command, .pair { break-inside: avoid; }
  p { orphans: 3; widows: 3; }
  .scroll { overflow: visible; background: none; }
  table { font-size: .78rem; }
  th, td { padding: .25rem .45rem; }
  td.words, td.bars { min-width: 0; }
  td.number { white-space: normal; }
  .chart .narrow { display: none; }
  .chart .wide { display: block; }
  .cards { grid-template-columns: repeat(5, 1fr); gap: .4rem; }
  .card { padding: .5rem .6rem; }
  .card:first-child { grid-column: auto; }
  .card .value { font-size: 1.15rem; }
  a { color: inherit; text-decoration: none; }
}
`;
