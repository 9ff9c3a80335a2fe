/** The page's style. Colours are named once; the dark scheme gives the same names other values. */
export const STYLE = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1d2329; --soft: #5a6570; --rule: #dfe4e8; --shade: #f6f8f9; --alert: #a4262c;
  --s0: #2f6fb3; --s1: #c8602f; --s2: #2c8a63; --s3: #8457a8; --s4: #a07716; --s5: #5b6770; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181c; --ink: #e4e8eb; --soft: #9aa6b0; --rule: #2d353c; --shade: #1b2127; --alert: #ff8b88;
  --s0: #6cabec; --s1: #f0905f; --s2: #5cc39a; --s3: #b993dd; --s4: #d9ae50; --s5: #9aa7b0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
header, main { max-width: 1160px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 28px; }
h1 { margin: 0; font-size: 14px; font-weight: 600; letter-spacing: .02em; color: var(--soft); }
h2 { margin: 4px 0 6px; font-size: 28px; line-height: 1.2; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere; }
h3 { margin: 44px 0 12px; padding-bottom: 6px; border-bottom: 1px solid var(--rule); font-size: 19px; font-weight: 620; }
h4 { margin: 0; font-size: 15px; font-weight: 620; }
p { margin: 6px 0 12px; max-width: 78ch; }
article + article { margin-top: 64px; padding-top: 28px; border-top: 2px solid var(--ink); }
article:last-child { padding-bottom: 64px; }
nav ul, .legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 6px 0 0; padding: 0; list-style: none; }
nav { margin: 6px 0 18px; }
a { color: var(--s0); }
.about, .note { color: var(--soft); }
.note { margin: 2px 0 0; font-size: 13px; }
.failure { padding: 10px 14px; border-left: 4px solid var(--alert); background: var(--shade); color: var(--alert); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(168px, 1fr)); gap: 1px; margin: 18px 0 0; border: 1px solid var(--rule); border-radius: 8px; background: var(--rule); overflow: hidden; }
.facts div { padding: 12px 16px 14px; background: var(--paper); }
dt { color: var(--soft); font-size: 13px; }
dt::first-letter { text-transform: uppercase; }
dd { margin: 0; font-size: 22px; font-weight: 620; font-variant-numeric: tabular-nums; }
dd small { display: block; font-size: 12.5px; font-weight: 400; color: var(--soft); }
figure { margin: 22px 0 34px; }
figcaption { margin-bottom: 8px; }
.legend { font-size: 13px; }
.legend li { display: flex; align-items: center; gap: 7px; }
.key { width: 14px; height: 10px; }
.beside { display: grid; grid-template-columns: minmax(0, 1.55fr) minmax(0, 1fr); gap: 24px; align-items: start; }
.chart svg { display: block; width: 100%; height: auto; }
.scroll { max-height: 300px; overflow: auto; border: 1px solid var(--rule); border-radius: 6px; }
section > .scroll { max-height: 640px; }
.scroll:focus-visible, pre:focus-visible, summary:focus-visible, a:focus-visible { outline: 2px solid var(--s0); outline-offset: 2px; }
table { width: 100%; border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 11px; border-bottom: 1px solid var(--rule); white-space: nowrap; font-weight: 400; text-align: left; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { position: sticky; top: 0; background: var(--shade); color: var(--soft); font-weight: 600; white-space: normal; vertical-align: bottom; }
th.number, td.number { text-align: right; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
details { margin: 10px 0; }
summary { cursor: pointer; }
pre { overflow: auto; max-height: 480px; margin: 8px 0; padding: 14px 16px; border: 1px solid var(--rule); border-radius: 6px; background: var(--shade); font-size: 12.5px; }
pre, code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { font-size: 12.5px; }
svg text { fill: var(--ink); font-family: inherit; }
svg .tick { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .axis { font-size: 12.5px; fill: var(--soft); }
.grid { stroke: var(--rule); }
.zero { stroke: var(--soft); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line.s1 { stroke-dasharray: 7 4; } .line.s2 { stroke-dasharray: 2 4; } .line.s3 { stroke-dasharray: 9 3 2 3; } .line.s4 { stroke-dasharray: 12 5; } .line.s5 { stroke-dasharray: 4 3; }
.s0 { --c: var(--s0); } .s1 { --c: var(--s1); } .s2 { --c: var(--s2); } .s3 { --c: var(--s3); } .s4 { --c: var(--s4); } .s5 { --c: var(--s5); }
.line { stroke: var(--c); } .dot, .bar, .cell { fill: var(--c); }
.bar.hollow { fill: var(--paper); stroke: var(--c); stroke-width: 1.5; stroke-dasharray: 4 2; }
.cell { stroke: var(--rule); stroke-width: .5; }
svg .cell-value { font-size: 11.5px; font-variant-numeric: tabular-nums; }
@media (max-width: 820px) { .beside { grid-template-columns: minmax(0, 1fr); } header, main { padding: 0 14px; } h2 { font-size: 24px; } }
@media print { .scroll { max-height: none; overflow: visible; } figure, .facts { break-inside: avoid; } }
`;
