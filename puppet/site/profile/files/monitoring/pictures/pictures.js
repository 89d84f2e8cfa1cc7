// Managed by Puppet. Draws pages of Prometheus' answers; which, says pages.js.
// Part of the address says what is seen: #HOST/RANGE, where an empty HOST is the whole fleet.
const ranges = { '1h': 3600, '6h': 21600, '1d': 86400, '7d': 604800, '90d': 7776000 };
const POINTS = 240;
const CELLS = 72;
const SCRAPE = 15;
const REFRESH = 60000;
const graphs = [];
let turn = 0;

const element = (id) => document.getElementById(id);
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function make(tag, text = '', className = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

function where() {
  const [host = '', range = ''] = decodeURIComponent(location.hash.slice(1)).split('/');
  return { host, range: ranges[range] ? range : '6h' };
}

async function ask(path, parameters = {}) {
  const answer = await fetch(`/prometheus/api/v1/${path}?${new URLSearchParams(parameters)}`);
  if (!answer.ok) throw new Error(`Prometheus answers ${answer.status}`);
  return (await answer.json()).data;
}

// The same moments for every picture of a page, so that they can be compared.
function span(range, points) {
  const step = Math.max(SCRAPE, Math.ceil(ranges[range] / points / SCRAPE) * SCRAPE);
  const end = Math.floor(Date.now() / 1000 / step) * step;
  return { start: end - ranges[range], end, step };
}

function rows(result, { start, end, step }) {
  const at = new Map();
  for (let time = start; time <= end; time += step) at.set(time, [new Date(time * 1000), ...result.map(() => null)]);
  result.forEach((series, number) => {
    for (const [time, value] of series.values) if (at.has(time)) at.get(time)[number + 1] = Number(value);
  });
  return [...at.values()];
}

function colours(names, hosts) {
  // A host has its colour wherever it is seen.
  const all = [1, 2, 3, 4, 5, 6].map((number) => style(`--series-${number}`));
  return names.map((name, number) => all[(hosts.includes(name) ? hosts.indexOf(name) : number) % all.length]);
}

function shown(value, unit) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toLocaleString('en', { maximumFractionDigits: digits })}${unit && ` ${unit}`}`;
}

// Year first, and 24 hours, wherever the reader is.
function moment(date) {
  return date.toLocaleString('sv');
}

function picture(box, panel, names, data, marks, hosts) {
  const graph = make('div', '', 'graph');
  const legend = make('div', '', 'legend');
  box.append(legend, graph);
  const palette = colours(names, hosts);
  // The legend shows the last values, or those under the pointer.
  const tell = (values) => legend.replaceChildren(...names.map((name, number) => {
    const dash = make('span', '━ ');
    dash.style.color = palette[number];
    const entry = make('span', '', 'entry');
    entry.append(dash, `${name} ${shown(values[number], panel.unit)}`);
    return entry;
  }));
  const last = names.map((_, number) => data.reduceRight((found, row) => found ?? row[number + 1], null));
  tell(last);
  graphs.push(new Dygraph(graph, data, {
    labels: ['time', ...names],
    colors: palette,
    strokeWidth: 1.6,
    includeZero: true,
    legend: 'never',
    axisLineColor: style('--line'),
    gridLineColor: style('--grid'),
    xRangePad: 2,
    connectSeparatedPoints: false,
    highlightCircleSize: 3,
    axes: { y: { axisLabelWidth: 44, drawGrid: true }, x: { drawGrid: false } },
    highlightCallback: (_event, _x, points) => {
      const by = new Map(points.map((point) => [point.name, point.yval]));
      tell(names.map((name) => by.get(name)));
    },
    unhighlightCallback: () => tell(last),
    underlayCallback: (canvas, area, it) => {
      canvas.strokeStyle = style('--quiet');
      canvas.setLineDash([3, 3]);
      for (const mark of marks) {
        const x = Math.round(it.toDomXCoord(mark.time * 1000)) + 0.5;
        if (x < area.x || x > area.x + area.w) continue;
        canvas.beginPath();
        canvas.moveTo(x, area.y);
        canvas.lineTo(x, area.y + area.h);
        canvas.stroke();
      }
      canvas.setLineDash([]);
    },
  }));
}

function named(series, by) {
  return by.map((label) => series.metric[label]).filter(Boolean).join(' → ') || 'all';
}

async function panelInto(box, panel, { host, range, marks, hosts }) {
  const time = span(range, POINTS);
  const rate = `${Math.max(4 * SCRAPE, time.step)}s`;
  const query = panel.query.replaceAll('$host', host).replaceAll('$rate', rate);
  try {
    const { result } = await ask('query_range', { query, ...time });
    const by = panel.by ?? ['instance'];
    result.sort((a, b) => named(a, by).localeCompare(named(b, by)));
    const some = result.slice(0, 6);
    if (result.length > some.length) box.append(make('div', `The first 6 of ${result.length}`, 'legend'));
    if (some.length) picture(box, panel, some.map((each) => named(each, by)), rows(some, time), marks, hosts);
    else box.append(make('div', 'Nothing to show', 'empty'));
  } catch (error) {
    box.append(make('div', error.message, 'empty'));
  }
}

async function served(probes, { host, range }) {
  const time = span(range, CELLS);
  const of = host ? probes.replace('}', `,instance="${host}"}`) : probes;
  const query = `min by (service, instance) (avg_over_time(${of}[${time.step}s]))`;
  const { result } = await ask('query_range', { query, ...time });
  const section = element('served');
  section.replaceChildren(make('h2', 'Served, as seen from the control host'));
  if (!result.length) section.append(make('div', 'Nothing is served by this host', 'legend'));
  result.sort((a, b) => named(a, ['service', 'instance']).localeCompare(named(b, ['service', 'instance'])));
  for (const series of result) {
    const strip = make('div', '', 'strip');
    const cells = make('div', '', 'cells');
    const values = rows([series], time);
    for (const [at, value] of values) {
      const kind = value === null ? '' : value >= 0.9999 ? 'good' : value > 0.5 ? 'some' : 'bad';
      const cell = make('span', '', kind);
      cell.title = `${moment(at)}: ${value === null ? 'not asked' : `${(100 * value).toFixed(1)} %`}`;
      cells.append(cell);
    }
    const known = values.map((row) => row[1]).filter((value) => value !== null);
    const share = known.reduce((sum, value) => sum + value, 0) / known.length;
    const name = host ? series.metric.service : `${series.metric.service} ${series.metric.instance}`;
    strip.append(make('b', name), cells, make('i', `${(Math.floor(share * 1e5) / 1e3).toFixed(share === 1 ? 0 : 2)} %`));
    section.append(strip);
  }
}

async function alerts(host) {
  const { alerts: all } = await ask('alerts');
  const firing = all.filter((each) => each.state === 'firing' && each.labels.alertname !== 'Watchdog'
    && (!host || each.labels.instance === host));
  const section = element('alerts');
  section.replaceChildren();
  if (!firing.length) section.append(make('div', '✓ Nothing is wrong', 'well'));
  for (const each of firing) {
    const box = make('div', '', 'alert');
    box.append(make('strong', `✗ ${each.annotations.summary}`), make('p', `For users: ${each.annotations.means}`),
      make('p', `${each.annotations.action} (${each.annotations.runbook})`));
    section.append(box);
  }
}

// When a release was put in force: whatever changes there may have come with it.
async function promotions(range) {
  const { result } = await ask('query_range', { query: 'fleet_release_since_seconds', ...span(range, POINTS) });
  return result.map((series) => ({ time: Number(series.values.at(-1)[1]), release: series.metric.release }));
}

function navigation(fleet, { host, range }) {
  const link = (name, text) => {
    const made = make('a', text);
    made.href = `#${name}/${range}`;
    if (name === host) made.setAttribute('aria-current', 'page');
    return made;
  };
  element('hosts').replaceChildren(link('', 'Fleet'), ...fleet.hosts.map((name) => link(name, name)));
  element('ranges').replaceChildren(...Object.keys(ranges).map((name) => {
    const made = make('button', name);
    made.setAttribute('aria-pressed', String(name === range));
    made.addEventListener('click', () => { location.hash = `${host}/${name}`; });
    return made;
  }));
  element('title').textContent = host ? `${host} (${fleet.roles[host] ?? 'unknown'})` : fleet.domain;
  document.title = `${host || fleet.domain} – Generalprøve`;
}

async function page(fleet, pages) {
  const mine = turn += 1;
  const seen = where();
  navigation(fleet, seen);
  try {
    const marks = await promotions(seen.range);
    await Promise.all([alerts(seen.host), served(pages.probes, seen)]);
    const panels = seen.host ? pages.host : pages.fleet;
    const boxes = panels.map((panel) => {
      const box = make('article', '', 'panel');
      box.append(make('h2', panel.title));
      return box;
    });
    if (mine !== turn) return;
    graphs.splice(0).forEach((graph) => graph.destroy());
    element('panels').replaceChildren(...boxes);
    for (const [number, panel] of panels.entries()) {
      await panelInto(boxes[number], panel, { ...seen, marks, hosts: fleet.hosts });
      if (mine !== turn) return;
    }
    const releases = marks.map((mark) => `${mark.release} since ${moment(new Date(mark.time * 1000))}`);
    element('seen').textContent = `┆ a release was put in force${releases.length ? ` (${releases.at(-1)})` : ''} · seen ${moment(new Date())}`;
  } catch (error) {
    element('alerts').replaceChildren(make('div', `✗ ${error.message}`, 'alert'));
  }
}

export async function draw(pages) {
  const fleet = await (await fetch('fleet.json')).json();
  const again = () => page(fleet, pages);
  addEventListener('hashchange', again);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', again);
  setInterval(again, REFRESH);
  await again();
}
