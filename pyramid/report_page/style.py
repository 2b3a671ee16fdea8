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
.numbers td:nth-child(2) svg { display: block; }
.scroll { overflow-x: auto; max-width: 100%; margin-bottom: 14px; } .scroll th { overflow-wrap: normal; }
.scroll .numbers td + td { white-space: nowrap; } .fields svg { max-width: none; }
h3 { font-size: 15px; margin: 20px 0 6px; } ul { margin: 4px 0 12px; padding-left: 20px; }
svg .bar { fill: var(--blue); fill-opacity: 0.75; } svg .whisker { stroke: var(--ink); stroke-width: 1.5; }
svg .series1 { stroke: #d1782b; } svg .series2 { stroke: #2f8f5b; } svg .series3 { stroke: #8a4fb0; }
svg .series4 { stroke: #b8336a; } svg .series5 { stroke: #3aa6b9; } svg .mean { stroke: var(--ink); stroke-width: 2.6; }
.legend { list-style: none; padding: 0; font-weight: 400; max-width: 340px; }
.legend li::before { content: ""; display: inline-block; width: 14px; height: 3px; margin: 0 7px 4px 0;
  background: var(--blue); }
.legend .series1::before { background: #d1782b; } .legend .series2::before { background: #2f8f5b; }
.legend .series3::before { background: #8a4fb0; } .legend .series4::before { background: #b8336a; }
.legend .series5::before { background: #3aa6b9; } .legend .mean::before { background: var(--ink); }
.fields td, .leaderboard td, .worst td, .left_out td { overflow-wrap: normal; }
.fields td:first-child, .left_out td:first-child { min-width: 9em; max-width: 22em; overflow-wrap: anywhere; }
.leaderboard td:first-child, .worst td:first-child { min-width: 2em; }
.importances td:first-child, .answers .numbers td:first-child, .pairs td:first-child { min-width: 8em; }
.leaderboard td:nth-child(4) { min-width: 22em; } .top div { white-space: nowrap; color: var(--soft); }
.top b { display: inline-block; min-width: 4em; font-weight: 500; color: var(--ink); }
.values { columns: 2 420px; column-gap: 40px; }
.values div { display: flex; gap: 12px; border-bottom: 1px solid var(--rule); padding: 3px 0; break-inside: avoid; }
.values span { flex: 0 0 45%; color: var(--soft); } .values b { font-weight: 500; overflow-wrap: anywhere; }
"""
