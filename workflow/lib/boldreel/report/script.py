"""The page's script: videos that play in step, filters, the table of all scores, light and dark.

Without scripts the page still shows everything but moving pictures and the table of all scores.
"""

JS = r"""
(() => {
const $ = (s, r = document) => r.querySelector(s), $$ = (s, r = document) => [...r.querySelectorAll(s)];

// Light and dark: the system's choice until the button is used.
const root = document.documentElement, toggle = $('#theme');
const dark = () => (root.dataset.theme || (matchMedia('(prefers-color-scheme: dark)').matches
  ? 'dark' : 'light')) === 'dark';
const name = () => { toggle.textContent = dark() ? 'Light' : 'Dark';
  toggle.setAttribute('aria-label', 'Switch to ' + (dark() ? 'light' : 'dark') + ' colours'); };
toggle.addEventListener('click', () => { root.dataset.theme = dark() ? 'light' : 'dark'; name(); });
name();

// Videos: loaded when near the window, kept to one clock, so that all show the same moment.
let playing = !matchMedia('(prefers-reduced-motion: reduce)').matches;
const began = performance.now(), near = new Set();
const moment = v => ((performance.now() - began) / 1000) % v.duration;
const step = v => {
  if (!v.duration) return;
  let off = Math.abs(v.currentTime - moment(v));
  off = Math.min(off, v.duration - off);
  if (off > 0.14) v.currentTime = moment(v);
  if (v.paused) v.play().catch(() => {});
};
const watch = new IntersectionObserver(entries => entries.forEach(e => {
  const v = e.target;
  if (e.isIntersecting) { near.add(v); if (!v.src) { v.preload = 'auto'; v.src = v.dataset.src; }
    if (playing) step(v); }
  else { near.delete(v); v.pause(); v.removeAttribute('src'); v.load(); }
}), {rootMargin: '300px 0px'});
$$('video[data-src]').forEach(v => {
  v.muted = true; v.addEventListener('loadeddata', () => { if (playing) step(v); }); watch.observe(v);
});
setInterval(() => { if (playing) near.forEach(step); }, 400);
const button = $('#play');
const label = () => { if (button) button.textContent = playing ? 'Pause' : 'Play'; };
button?.addEventListener('click', () => {
  playing = !playing; near.forEach(v => playing ? step(v) : v.pause()); label();
});
label();

// Filters and order of the clips.
const list = $('#clips');
if (list) {
  const cards = $$('.card', list), order = new Map(cards.map((c, i) => [c, i]));
  const apply = () => {
    const segment = $('#segment').value, seen = $('#seen')?.value || '', by = $('#order').value;
    let shown = 0;
    cards.forEach(c => {
      c.hidden = !!(segment && c.dataset.segment !== segment) || !!(seen && c.dataset.seen !== seen);
      shown += !c.hidden;
    });
    const [subject, way] = by.split(':');
    const key = c => Number(c.getAttribute('data-score-' + subject));
    [...cards].sort((a, b) => !way ? order.get(a) - order.get(b)
      : (way === 'best' ? key(b) - key(a) : key(a) - key(b)) || order.get(a) - order.get(b))
      .forEach(c => list.append(c));
    $$('input[name=kind]').forEach(box => $$('[data-kind="' + box.value + '"]', list)
      .forEach(f => { f.hidden = !box.checked; }));
    $('#shown').textContent = shown + ' of ' + cards.length + ' clips';
  };
  $$('#watch select, #watch input').forEach(e => e.addEventListener('change', apply));
  apply();
}

// All scores.
const data = $('#all-scores');
if (data) {
  const {columns, rows, words} = JSON.parse(data.textContent);
  const at = Object.fromEntries(columns.map((c, i) => [c, i]));
  const form = $('#explore'), out = $('#explore-out');
  const pick = f => form.elements[f].value;
  const show = x => x === null ? '\u2013' : Math.abs(x) >= 100 ? x.toFixed(0)
    : Math.abs(x) >= 10 ? x.toFixed(1) : Math.abs(x) >= 1 ? x.toFixed(2) : x.toFixed(3);
  const cell = (tag, text) => { const e = document.createElement(tag); e.textContent = text; return e; };
  const draw = () => {
    const kept = rows.filter(r => r[at.subject] === pick('subject') && r[at.segment] === pick('segment')
      && r[at.method] === pick('method'));
    const conditions = words.order.filter(c => kept.some(r => r[at.condition] === c));
    const table = document.createElement('table'), head = table.createTHead().insertRow();
    ['Metric', 'Chance', 'p', ...conditions.map(c => words.condition[c] || c)].forEach(t => {
      const th = cell('th', t); th.scope = 'col'; head.append(th); });
    const body = table.createTBody(), by = new Map();
    kept.forEach(r => { const k = r[at.metric] + '\u0000' + r[at.definition];
      by.set(k, {...(by.get(k) || {}), [r[at.condition]]: r}); });
    by.forEach((found, key) => {
      const row = body.insertRow(), any = found.model || Object.values(found)[0];
      row.append(cell('td', words.metric[key.replace('\u0000', '|')] || key.replace('\u0000', ' ')));
      row.append(cell('td', show(any[at.chance])));
      row.append(cell('td', found.model && found.model[at.p] !== null
        ? String(+found.model[at.p].toPrecision(2)) : '\u2013'));
      conditions.forEach(c => {
        const r = found[c], td = cell('td', r ? show(r[at.value]) : '');
        if (r && r[at.ci_low] !== null)
          td.append(' ', cell('small', '[' + show(r[at.ci_low]) + ', ' + show(r[at.ci_high]) + ']'));
        if (r && at.difference && r[at.difference] !== null)
          td.append(' ', cell('small', 'model ' + (r[at.difference] < 0 ? '\u2212' : '+')
            + show(Math.abs(r[at.difference])) + ', p ' + +r[at.p_difference].toPrecision(2)));
        if (r && at.seed_sd && r[at.seed_sd] !== null)
          td.append(' ', cell('small', 'seeds \u00b1' + show(r[at.seed_sd])));
        row.append(td);
      });
    });
    out.replaceChildren(kept.length ? table : cell('p', 'No scores for this choice.'));
  };
  form.addEventListener('change', draw); draw();
}
})();
"""
