"""The page's style sheet: light and dark, readable on a phone, nothing that moves while loading."""

CSS = """
:root{--paper:#faf9f6;--card:#fff;--ink:#21201e;--muted:#6b665d;--line:#e2ded5;--accent:#0b6e6a;
--good:#1d7a46;--warn:#9a6200;--none:#6b665d;--bad:#b3261e;--gray:#b9b4aa;--upper:#d9a21b;
--shadow:0 1px 2px rgba(40,35,25,.06),0 6px 24px rgba(40,35,25,.05);color-scheme:light}
:root[data-theme=dark]{--paper:#141413;--card:#1d1d1b;--ink:#eceae4;--muted:#a39e93;--line:#34332f;
--accent:#56c2ba;--good:#6fcf97;--warn:#e5b455;--none:#a39e93;--bad:#f28b82;--gray:#7d796f;
--upper:#f0c04c;--shadow:0 0 0 1px #2a2926;color-scheme:dark}
@media (prefers-color-scheme:dark){:root:not([data-theme=light]){--paper:#141413;--card:#1d1d1b;
--ink:#eceae4;--muted:#a39e93;--line:#34332f;--accent:#56c2ba;--good:#6fcf97;--warn:#e5b455;
--none:#a39e93;--bad:#f28b82;--gray:#7d796f;--upper:#f0c04c;--shadow:0 0 0 1px #2a2926;
color-scheme:dark}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:3.6rem;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:break-word}
main,header.top,footer{max-width:1120px;margin:0 auto;padding:0 20px}
h1{font-size:clamp(1.9rem,4.5vw,2.9rem);line-height:1.08;margin:.3em 0 .2em;letter-spacing:-.025em}
h2{font-size:1.5rem;margin:0 0 .4rem;letter-spacing:-.015em;line-height:1.2}
h3{font-size:1.03rem;margin:1.6rem 0 .4rem}
p{margin:.4rem 0 .8rem;max-width:72ch}
a{color:var(--accent)}
section{padding:2.6rem 0 1rem;border-top:1px solid var(--line)}
.lede{font-size:1.08rem;color:var(--muted);max-width:64ch}
.banner{background:color-mix(in srgb,var(--warn) 14%,var(--card));border-left:4px solid var(--warn);
border-radius:8px;padding:.6rem .9rem;max-width:72ch}
.note{color:var(--muted);font-size:.9rem;border-left:3px solid var(--line);padding-left:.8rem}
.skip{position:absolute;left:-999px;top:0;background:var(--card);padding:.6rem 1rem;z-index:9}
.skip:focus{left:8px;top:8px}
:focus-visible{outline:2.5px solid var(--accent);outline-offset:2px;border-radius:3px}
nav{position:sticky;top:0;z-index:5;background:color-mix(in srgb,var(--paper) 88%,transparent);
backdrop-filter:blur(10px);border-bottom:1px solid var(--line)}
nav>div{max-width:1120px;margin:0 auto;padding:0 20px;display:flex;gap:1.1rem;align-items:center;
height:3rem;overflow-x:auto;scrollbar-width:none;font-size:.92rem}
nav b{letter-spacing:-.02em;font-size:1.02rem}
nav a{color:var(--muted);text-decoration:none;white-space:nowrap}
nav a:hover{color:var(--ink)}
button,select{font:inherit;font-size:.9rem;color:var(--ink);background:var(--card);
border:1px solid var(--line);border-radius:8px;padding:.34rem .7rem;min-height:2.1rem;cursor:pointer}
button:hover,select:hover{border-color:var(--muted)}
nav button{margin-left:auto;min-height:1.9rem;padding:.2rem .6rem}
.verdicts{display:grid;gap:14px;grid-template-columns:repeat(auto-fit,minmax(min(100%,310px),1fr));
margin:1.4rem 0 2.2rem}
.verdict{background:var(--card);border-radius:14px;padding:1.05rem 1.2rem 1rem;box-shadow:var(--shadow);
border-top:4px solid var(--none)}
.verdict.signal{border-color:var(--good)}.verdict.partial{border-color:var(--warn)}
.verdict h3{margin:0 0 .3rem;display:flex;justify-content:space-between;align-items:baseline;gap:.8rem}
.verdict h3{white-space:nowrap}.verdict .tag{text-align:right;white-space:normal}
.tag{font-size:.76rem;font-weight:600;color:var(--none)}
.signal .tag{color:var(--good)}.partial .tag{color:var(--warn)}
.verdict p{font-size:.94rem;margin:.35rem 0}
.verdict p.small{color:var(--muted);font-size:.86rem}
.figures{display:flex;gap:1.2rem;margin:.7rem 0 .5rem;flex-wrap:wrap}
.figures div{min-width:74px}
.figures b{display:block;font-size:1.55rem;line-height:1.1;letter-spacing:-.03em;
font-variant-numeric:tabular-nums}
.figures span{display:block;font-size:.76rem;color:var(--muted);line-height:1.3}
.controls{display:flex;flex-wrap:wrap;gap:.6rem 1rem;align-items:end;margin:.8rem 0 1rem}
.controls label{font-size:.8rem;color:var(--muted);display:grid;gap:.15rem}
.controls fieldset{border:0;padding:0;margin:0;display:flex;gap:.3rem .9rem;flex-wrap:wrap;
align-items:center;min-height:2.1rem;font-size:.9rem}
.controls legend{font-size:.8rem;color:var(--muted);padding:0;margin-bottom:.15rem}
.controls fieldset label{display:flex;gap:.35rem;align-items:center;color:var(--ink);font-size:.9rem}
.cards{display:grid;gap:14px;grid-template-columns:repeat(auto-fit,minmax(min(100%,500px),1fr));margin:0;padding:0;list-style:none}
.card{background:var(--card);border-radius:14px;box-shadow:var(--shadow);padding:.8rem 1rem .7rem}
.card header{display:flex;flex-wrap:wrap;gap:.1rem .8rem;align-items:baseline;margin-bottom:.55rem}
.card header b{font-weight:600}
.card header span{color:var(--muted);font-size:.84rem}.card header .why{flex-basis:100%}
.reel{display:grid;gap:9px;grid-template-columns:repeat(auto-fit,minmax(84px,1fr))}
.reel figure{margin:0}
.reel video{display:block;width:100%;aspect-ratio:var(--shape,1);border-radius:8px;background:#8883;
object-fit:cover}
.reel figcaption{font-size:.8rem;margin-top:.28rem;line-height:1.35;min-height:2.5em}
.reel .truth figcaption b{color:var(--accent)}
.stills{display:grid;gap:8px;grid-template-columns:repeat(auto-fill,minmax(76px,1fr))}
.stills figure{margin:0}.stills img{display:block;width:100%;aspect-ratio:var(--shape,1);border-radius:6px}
.stills figcaption{font-size:.72rem;line-height:1.3;color:var(--muted);margin-top:.2rem}
.reel figcaption small{display:block;color:var(--muted);font-size:.76rem}
.hit{color:var(--good)}.miss{color:var(--bad)}
details{margin-top:.35rem}summary{cursor:pointer;color:var(--muted);font-size:.85rem;width:fit-content}
.scroll{overflow-x:auto;border-radius:12px;background:var(--card);box-shadow:var(--shadow);
margin:.7rem 0 1.1rem}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.42rem .65rem;border-bottom:1px solid var(--line);vertical-align:middle;
white-space:nowrap}
th{font-weight:600;color:var(--muted);font-size:.8rem;position:sticky;top:0;background:var(--card)}
tbody tr:last-child td{border-bottom:0}
tr.group td{padding-top:1rem;border-bottom:0;white-space:normal}
tr.group b{display:block}tr.group small{color:var(--muted);display:block;max-width:70ch}
tr.level td{padding:.75rem;background:color-mix(in srgb,var(--line) 38%,var(--card));font-weight:600;
color:var(--muted);font-size:.84rem}
td.value b{font-size:1rem}td small{color:var(--muted)}
tr.other td{color:var(--muted)}
.dot{display:inline-block;width:.62em;height:.62em;border-radius:50%;margin-right:.45em}
.gauge{display:block}
.gauge .axis{stroke:var(--line);stroke-width:1.5}
.gauge .chance{stroke:var(--muted);stroke-width:1.3;stroke-dasharray:3 2}
.gauge .gray{fill:var(--gray)}.gauge .upper{fill:var(--upper)}
.gauge .shuffled{fill:var(--card);stroke:var(--muted);stroke-width:1.4}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.3rem;font-size:.84rem;color:var(--muted);
align-items:center;margin:.3rem 0}
.legend span{display:flex;align-items:center;gap:.4rem}
figure.plot{margin:1rem 0 1.6rem;background:var(--card);border-radius:14px;box-shadow:var(--shadow);
padding:1rem}
figure.plot>div{overflow-x:auto}
figure.plot svg{display:block;width:100%;height:auto;min-width:min(620px,170vw)}
figure.plot svg text{fill:var(--ink)}
figure.plot img{display:block;width:100%;height:auto;min-width:min(900px,220vw)}
figure.plot figcaption{font-size:.88rem;color:var(--muted);margin-top:.6rem;max-width:80ch}
dl{display:grid;grid-template-columns:minmax(9rem,auto) 1fr;gap:.25rem 1rem;margin:.3rem 0;
font-size:.92rem}
dt{color:var(--muted)}dd{margin:0;min-width:0}
dd dl{margin:0}
.panel{background:var(--card);border-radius:14px;box-shadow:var(--shadow);padding:1rem 1.2rem;
margin:.8rem 0 1.2rem}
footer{padding:2rem 20px 3rem;color:var(--muted);font-size:.86rem}
code{font-size:.88em;background:color-mix(in srgb,var(--line) 55%,transparent);padding:.1em .3em;
border-radius:4px}
[hidden]{display:none!important}
@media (max-width:640px){body{font-size:15.5px}main,header.top,footer{padding-left:14px;
padding-right:14px}section{padding-top:2rem}.wide{display:none}th,td{padding:.38rem .5rem}
.reel{grid-template-columns:repeat(auto-fill,minmax(92px,1fr));gap:9px}
dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}
tr.group td>*{max-width:calc(100vw - 56px);position:sticky;left:.5rem}}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
@media print{nav,.controls,.skip{display:none}}
"""
