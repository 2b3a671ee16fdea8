"""The look of a report."""

STYLE = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5d6b7a; --rule: #dde3ea; --blue: #2766ad; --red: #c0392b; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 28px 32px 60px; max-width: 1320px; color: var(--ink); background: #fff;
  font: 15px/1.45 system-ui, "Segoe UI", "Liberation Sans", "DejaVu Sans", sans-serif; }
h1 { font-size: 25px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 34px 0 10px; padding-bottom: 5px; border-bottom: 1px solid var(--rule); }
p { margin: 4px 0 12px; color: var(--soft); max-width: 90ch; overflow-wrap: anywhere; }
section + article, article + article { margin-top: 56px; padding-top: 30px; border-top: 4px solid var(--rule); }
.facts { display: flex; flex-wrap: wrap; gap: 10px; margin: 14px 0; }
.facts div { border: 1px solid var(--rule); border-radius: 6px; padding: 7px 13px; }
.facts b { display: block; font-size: 18px; font-weight: 600; overflow-wrap: anywhere; }
.facts span { color: var(--soft); font-size: 13px; }
.charts { display: flex; flex-wrap: wrap; gap: 18px; }
figure { margin: 0; }
figcaption { font-size: 13px; overflow-wrap: anywhere; }
.charts figcaption { font-weight: 600; }
svg { max-width: 100%; height: auto; font-size: 11px; }
svg text { fill: var(--soft); }
svg .axis { font-size: 12px; font-weight: 600; }
svg .grid { stroke: #d3dae3; stroke-width: 0.7; }
svg .line { fill: none; stroke: var(--blue); stroke-width: 1.8; stroke-linejoin: round; }
svg .dot { fill: var(--blue); }
svg .kept { fill: #fff; stroke: var(--red); stroke-width: 2; }
svg .band0 { fill: #f6f8fb; } svg .band1 { fill: #e9eef5; }
svg .cell { fill: #fff; stroke: var(--rule); stroke-width: 1; }
svg .right { fill: var(--blue); } svg .wrong { fill: var(--red); }
svg text.light { fill: #fff; } svg text.dark { fill: var(--ink); }
svg .point { fill: var(--blue); fill-opacity: 0.55; }
svg .equal { stroke: var(--soft); stroke-dasharray: 4 4; }
.pictures { display: flex; flex-wrap: wrap; gap: 16px; }
.pictures figure { width: 180px; }
img { height: 112px; min-width: 40px; image-rendering: pixelated; border: 1px solid var(--rule); display: block; }
.drawn figure { width: 290px; } .drawn img, .false img, .missed img { height: auto; max-width: 100%; }
.pictures figcaption div { color: var(--soft); }
.truth { color: var(--ink) !important; font-weight: 600; } .wrong { color: var(--red) !important; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(580px, 1fr)); gap: 14px 24px; }
.sheet div { display: flex; flex-wrap: wrap; gap: 5px; }
.sheet img { height: 88px; }
.sheet img:first-child { outline: 2px solid var(--blue); margin-right: 7px; }
table { border-collapse: collapse; font-size: 14px; }
td, th { text-align: left; vertical-align: top; padding: 3px 18px 3px 0; border-bottom: 1px solid var(--rule);
  overflow-wrap: anywhere; }
th { font-weight: 600; }
td:first-child { min-width: 18em; }
.numbers { margin-bottom: 18px; } .numbers td + td, .numbers th + th { text-align: right; }
.values { columns: 2 420px; column-gap: 40px; }
.values div { display: flex; gap: 12px; border-bottom: 1px solid var(--rule); padding: 3px 0; break-inside: avoid; }
.values span { flex: 0 0 45%; color: var(--soft); } .values b { font-weight: 500; overflow-wrap: anywhere; }
"""
