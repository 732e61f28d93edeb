// The page's own script: draws the charts, follows the colour scheme, sorts and copies tables.
// It gets data as JSON and puts text into the page as text nodes only.
'use strict';
(() => {
  const root = document.documentElement;
  const page = JSON.parse(document.getElementById('page-data').textContent);
  const systemDark = matchMedia('(prefers-color-scheme: dark)');
  const toDark = new Map(page.colours);
  const drawn = [];
  let printing = false;

  const UNITS = {
    ms: 'ms', seconds: 's', percent: '%', tokens_per_s: 'tok/s', requests_per_s: 'req/s',
    requests: 'requests', tokens: 'tokens', watts: 'W', gib: 'GiB', celsius: '°C',
    preemptions: 'preemptions', streams: 'streams',
  };

  // ---- numbers -------------------------------------------------------------------------------

  function number(v) {
    if (v === null || v === undefined || !Number.isFinite(v)) return '–';
    const a = Math.abs(v);
    const digits = a >= 99.95 || a === 0 ? 0 : a >= 9.995 ? 1 : a >= 0.0995 ? 2 : 4;
    return v.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  }

  function withUnit(v, unit) {
    if (v === null || v === undefined) return '–';
    if (unit === 'ms' && Math.abs(v) >= 10000) return number(v / 1000) + ' s';
    if (unit === 'requests' || unit === 'preemptions') return Math.round(v).toLocaleString('en-US');
    return number(v) + (UNITS[unit] ? ' ' + UNITS[unit] : '');
  }

  function tick(v) {
    const a = Math.abs(v);
    if (a >= 1e6) return +(v / 1e6).toPrecision(3) + 'M';
    if (a >= 1e5) return +(v / 1e3).toPrecision(3) + 'k';
    return (+v.toPrecision(4)).toLocaleString('en-US');
  }

  function clock(s) {
    const whole = Math.round(s);
    const pad = (n) => String(n).padStart(2, '0');
    const minutes = Math.floor(whole / 60);
    if (minutes < 60) return minutes + ':' + pad(whole % 60);
    return Math.floor(minutes / 60) + ':' + pad(minutes % 60) + ':' + pad(whole % 60);
  }

  // ---- colours -------------------------------------------------------------------------------

  const isDark = () => systemDark.matches && !printing && !page.svg_out;
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // Options carry the light colours; the dark page puts the dark ones in their place.
  function recoloured(value) {
    if (typeof value === 'string') return (isDark() && toDark.get(value)) || value;
    if (Array.isArray(value)) {
      return value.length && typeof value[0] === 'number' ? value : value.map(recoloured);
    }
    if (value && typeof value === 'object') {
      const out = {};
      for (const key of Object.keys(value)) out[key] = recoloured(value[key]);
      return out;
    }
    return value;
  }

  // ---- hover ---------------------------------------------------------------------------------

  function element(tag, className, text) {
    const e = document.createElement(tag);
    if (className) e.className = className;
    if (text !== undefined) e.textContent = text;
    return e;
  }

  function dot(colour) {
    const e = element('span', 'hover-dot');
    e.style.background = typeof colour === 'string' ? colour : 'currentColor';
    return e;
  }

  function bandAt(bands, s) {
    return bands.find((b) => s >= b[2] && s < b[3]);
  }

  // Every line's share at the pointer; ECharts itself offers only the line with the nearest point.
  function distributionRows(entry, x) {
    const hidden = (entry.chart.getOption().legend[0] || {}).selected || {};
    return entry.option.series.filter((s) => hidden[s.name] !== false).map((s) => {
      let share = 0;
      for (const [value, percent] of s.data) {
        if (value > x) break;
        share = percent;
      }
      return [s.lineStyle.color, s.name, number(share) + ' %'];
    });
  }

  function hoverBox(entry, params) {
    const spec = entry.spec;
    const hover = spec.hover;
    const points = (Array.isArray(params) ? params : [params]).filter((p) => p.componentType === 'series');
    if (!points.length) return '';
    const box = element('div', 'hover');
    if (hover.lines.length) {
      const rows = points.map((p) => [p, (hover.lines[p.seriesIndex] || [])[p.dataIndex]]).filter((r) => r[1]);
      if (!rows.length) return '';
      box.append(element('div', 'hover-head', rows[0][1][0]));
      const several = points.length > 1;
      for (const [p, lines] of rows) {
        if (several) {
          const row = element('div', 'hover-row');
          row.append(dot(p.color), element('span', '', p.seriesName), element('b', '', lines[1]));
          box.append(row);
        } else {
          for (const line of lines.slice(1)) box.append(element('div', '', line));
        }
      }
      if (several && rows[0][1][2]) box.append(element('div', 'hover-foot', rows[0][1][2]));
      return box;
    }
    const x = points[0].axisValue ?? points[0].value[0];
    if (hover.distribution) {
      box.append(element('div', 'hover-head', hover.x_name + ' ≤ ' + withUnit(x, hover.x_unit)));
      for (const [colour, name, text] of distributionRows(entry, x)) {
        const row = element('div', 'hover-row');
        row.append(dot(colour), element('span', '', name), element('b', '', text));
        box.append(row);
      }
      return box;
    }
    const band = bandAt(hover.bands, x);
    const long = spec.group === 'time' && list(spec.option.xAxis)[0].max > 180;
    box.append(element('div', 'hover-head', (long ? clock(x) : withUnit(x, hover.x_unit)) + (band ? ' · ' + band[0] : '')));
    for (const p of points) {
      if (p.value[1] === null) continue;
      const row = element('div', 'hover-row');
      const series = spec.option.series[p.seriesIndex];
      const unit = hover.y_units[series.yAxisIndex || 0];
      const text = series.noValue ? 'sent at ' + withUnit(p.value[0], 'seconds') : withUnit(p.value[1], unit);
      row.append(dot(p.color), element('span', '', p.seriesName), element('b', '', text));
      box.append(row);
    }
    return box;
  }

  // ---- options -------------------------------------------------------------------------------

  const list = (v) => (v === undefined ? [] : Array.isArray(v) ? v : [v]);
  const last = (a) => a[a.length - 1];

  // Diagonal lines; ECharts hatches series but not the areas behind them.
  function hatch(colour) {
    const line = (d) => ({ tag: 'path', key: d, attrs: { d, stroke: colour, 'stroke-width': 1, fill: 'none' }, children: [] });
    return {
      svgElement: { tag: 'g', key: 'hatch', attrs: {}, children: [line('M-2,2L2,-2'), line('M0,8L8,0'), line('M6,10L10,6')] },
      svgWidth: 8, svgHeight: 8, x: 0, y: 0, rotation: 0, scaleX: 1, scaleY: 1,
    };
  }

  function ready(entry, width) {
    const spec = entry.spec;
    const option = recoloured(spec.option);
    const narrow = width < 560;
    const ink = css('--ink'), muted = css('--muted'), rule = css('--rule'), surface = css('--surface');
    const accent = css('--accent');
    option.backgroundColor = 'transparent';
    option.textStyle = { fontFamily: getComputedStyle(document.body).fontFamily, color: ink };
    for (const grid of list(option.grid)) {
      if (narrow) { grid.left = 48; grid.right = 22; }
    }
    const time = spec.hover.x_name === 'time' && spec.group === 'time';
    for (const axis of list(option.xAxis).concat(list(option.yAxis))) {
      axis.axisLine = { ...axis.axisLine, show: axis.show !== false && list(option.xAxis).includes(axis), lineStyle: { color: muted }, onZero: false };
      axis.axisTick = { lineStyle: { color: rule } };
      axis.axisLabel = { ...axis.axisLabel, color: muted, hideOverlap: true };
      axis.splitLine = { ...axis.splitLine, lineStyle: { color: rule } };
      axis.nameTextStyle = { color: muted, fontSize: 12 };
      axis.nameTruncate = { maxWidth: Math.max(120, width - 80), ellipsis: '…' };
      if (axis.type !== 'category') axis.axisLabel.formatter = tick;
      if (axis.max === 100) axis.interval = 25;
      if (axis.type === 'log') axis.minorSplitLine = { show: false };
    }
    for (const axis of list(option.yAxis)) {
      axis.nameTextStyle.align = 'left';
      axis.nameTextStyle.padding = [0, 0, 0, narrow ? -40 : -50];
      if (narrow) axis.splitNumber = 4;
      if (time) axis.nameGap = 24;
      if (axis.max !== undefined && axis.max !== 100) axis.axisLabel.showMaxLabel = false;
    }
    for (const axis of list(option.xAxis)) {
      if (narrow) axis.splitNumber = 4;
      if (option.series[0]?.type === 'bar') Object.assign(axis.axisLabel, { showMinLabel: false, showMaxLabel: false });
      if (time) {
        const long = axis.max > 180;
        axis.axisLabel.showMaxLabel = false;
        // Of plots on one axis only the lowest has a title.
        if (axis.name) axis.name = 'time since run start ' + (long ? '(min:s)' : '(s)');
        if (long) {
          axis.axisLabel.formatter = clock;
          const steps = [30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
          axis.interval = steps.find((s) => axis.max / s <= (narrow ? 5 : 10)) || Math.ceil(axis.max / 36000) * 3600;
        }
      }
    }
    if (option.legend) {
      option.legend.textStyle = { color: ink };
      option.legend.pageTextStyle = { color: muted };
      option.legend.pageIconColor = accent;
      option.legend.pageIconInactiveColor = rule;
      option.legend.right = 0;
      option.legend.inactiveColor = muted;
    }
    for (const map of list(option.visualMap)) map.textStyle = { color: muted };
    if (option.tooltip) {
      Object.assign(option.tooltip, {
        confine: true, renderMode: 'html', transitionDuration: 0, backgroundColor: surface, borderColor: rule,
        padding: [8, 10], textStyle: { color: ink, fontSize: 13 }, formatter: (params) => hoverBox(entry, params),
      });
      if (option.tooltip.axisPointer) option.tooltip.axisPointer.lineStyle = { color: muted };
    }
    if (page.svg_out) picture(spec, option, ink);
    for (const zoom of list(option.dataZoom)) {
      if (zoom.type !== 'slider') continue;
      Object.assign(zoom, {
        borderColor: rule, backgroundColor: 'transparent', fillerColor: css('--filler'),
        handleStyle: { color: surface, borderColor: muted }, moveHandleStyle: { color: muted, opacity: 0.4 },
        emphasis: { handleStyle: { borderColor: accent }, moveHandleStyle: { color: accent } },
        left: narrow ? 48 : 58, right: narrow ? 22 : 26, handleSize: '140%', moveHandleSize: 4,
      });
    }
    for (const series of list(option.series)) {
      for (const mark of [series.markLine]) {
        if (mark) mark.label = { ...mark.label, textBorderColor: surface, textBorderWidth: 3 };
      }
      if (series.label || series.data?.some?.((d) => d && d.label)) {
        // Names stay inside the picture.
        series.labelLayout = (p) => {
          const over = p.labelRect.x + p.labelRect.width - (width - 2);
          return { hideOverlap: true, dx: over > 0 ? -over : p.labelRect.x < 2 ? 2 - p.labelRect.x : 0 };
        };
        for (const d of series.data) if (d.label) Object.assign(d.label, { color: ink, textBorderColor: surface, textBorderWidth: 3 });
      }
      if (series.type === 'line') series.emphasis = { focus: option.series.length > 2 ? 'series' : 'none', lineStyle: { width: series.lineStyle.width } };
      if (series.type === 'line' && series.symbol === 'none') series.triggerLineEvent = true;
      const area = series.markArea;
      if (area) {
        const room = (width - (narrow ? 64 : 84)) / (list(option.xAxis)[0].max || 1);
        area.label = { ...area.label, color: muted, fontSize: 11, distance: 4 };
        spec.hover.bands.forEach((band, i) => {
          const px = (band[3] - band[2]) * room, from = area.data[i][0];
          const fits = (t) => t.length * 6.2 + 4 <= px;
          from.name = fits(band[0]) ? band[0] : fits(band[1]) ? band[1] : '';
          if (band[4]) from.itemStyle = { ...from.itemStyle, color: hatch(muted), opacity: 0.55 };
        });
      }
    }
    return option;
  }

  const TITLE_ROOM = 34;
  const heightOf = (spec) => spec.height + (page.svg_out ? TITLE_ROOM : 0);

  // A picture has no page around it: it gets a title, and nothing to drag.
  function picture(spec, option, ink) {
    option.title = { text: spec.title, left: 0, top: 0, textStyle: { color: ink, fontSize: 17, fontWeight: 600 } };
    option.dataZoom = list(option.dataZoom).filter((zoom) => zoom.type !== 'slider');
    for (const part of list(option.grid).concat(list(option.legend), list(option.visualMap))) part.top += TITLE_ROOM;
    option.backgroundColor = css('--page');
  }

  // ---- drawing -------------------------------------------------------------------------------

  function draw(entry) {
    const width = printing ? Math.min(680, entry.place.clientWidth) : entry.place.clientWidth;
    if (entry.chart) entry.chart.dispose();
    entry.width = width;
    entry.chart = echarts.init(entry.place, null, { renderer: 'svg', width, height: heightOf(entry.spec) });
    entry.option = ready(entry, width);
    entry.chart.setOption(entry.option);
    if (entry.spec.group === 'time') entry.chart.group = 'time';
  }

  // A redraw keeps the zoom and what the legend hides.
  function redraw(entry) {
    const old = entry.chart.getOption();
    draw(entry);
    const zoom = old.dataZoom && old.dataZoom[0];
    if (zoom && (zoom.start > 0 || zoom.end < 100)) {
      entry.chart.dispatchAction({ type: 'dataZoom', start: zoom.start, end: zoom.end });
    }
    const selected = (old.legend && old.legend[0] && old.legend[0].selected) || {};
    for (const name of Object.keys(selected)) {
      if (!selected[name]) entry.chart.dispatchAction({ type: 'legendUnSelect', name });
    }
  }

  function save(spec, chart) {
    const blob = new Blob([chart.renderToSVGString()], { type: 'image/svg+xml' });
    const link = element('a');
    link.href = URL.createObjectURL(blob);
    link.download = spec.id + '.svg';
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function start(spec) {
    const place = document.getElementById('chart-' + spec.id);
    const entry = { spec, place, chart: null, option: null, width: 0 };
    // ECharts swallows every wheel turn over a chart; only with Shift it is meant for it.
    place.addEventListener('wheel', (e) => { if (!e.shiftKey) e.stopPropagation(); }, { capture: true, passive: true });
    draw(entry);
    drawn.push(entry);
    const figure = place.closest('figure');
    const on = (selector, act) => {
      const button = figure && figure.querySelector(selector);
      if (button) button.addEventListener('click', act);
    };
    on('[data-act=reset]', () => entry.chart.dispatchAction({ type: 'dataZoom', start: 0, end: 100 }));
    on('[data-act=save]', () => save(spec, entry.chart));
  }

  function everyChart(act) {
    for (const entry of drawn) act(entry);
  }

  function startAll(specs, then) {
    // All heights first: nothing moves while the page fills.
    for (const spec of specs) document.getElementById('chart-' + spec.id).style.height = heightOf(spec) + 'px';
    let i = 0;
    const next = () => {
      // A few at a time, so that the page can be scrolled meanwhile.
      const until = performance.now() + 40;
      do {
        if (i >= specs.length) return then();
        start(specs[i++]);
      } while (performance.now() < until);
      setTimeout(next, 0);
    };
    next();
  }

  systemDark.addEventListener('change', () => everyChart(redraw));
  let timer = 0;
  addEventListener('resize', () => {
    clearTimeout(timer);
    timer = setTimeout(() => everyChart((e) => { if (e.place.clientWidth !== e.width) redraw(e); }), 120);
  });
  addEventListener('beforeprint', () => { printing = true; everyChart(redraw); });
  addEventListener('afterprint', () => { printing = false; everyChart(redraw); });

  // ---- tables --------------------------------------------------------------------------------

  for (const button of document.querySelectorAll('th button[data-column]')) {
    button.addEventListener('click', () => {
      const head = button.closest('th');
      const table = button.closest('table');
      const column = +button.dataset.column;
      const down = head.getAttribute('aria-sort') === 'ascending';
      for (const th of table.querySelectorAll('th[aria-sort]')) th.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const body = table.tBodies[0];
      const key = (row) => {
        const raw = row.cells[column].dataset.value;
        return raw === undefined || raw === '' ? null : isNaN(raw) ? raw : +raw;
      };
      const rows = [...body.rows].map((row) => [key(row), row]);
      // Rows without a value stay last, whichever way.
      rows.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null);
        const order = typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b));
        return down ? -order : order;
      });
      for (const [, row] of rows) body.append(row);
    });
  }

  async function toClipboard(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Pages opened from a file have no clipboard in some browsers.
      const area = element('textarea');
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
    }
  }

  for (const button of document.querySelectorAll('button[data-copy]')) {
    const label = button.textContent;
    button.addEventListener('click', async () => {
      await toClipboard(page.copy[button.dataset.copy]);
      button.textContent = 'Copied';
      setTimeout(() => { button.textContent = label; }, 1500);
    });
  }

  // A link into a closed details element opens it.
  function reveal() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const details = target && (target.closest('details') || (target.tagName === 'DETAILS' && target));
    if (details) { details.open = true; target.scrollIntoView(); }
  }
  addEventListener('hashchange', reveal);

  startAll(page.charts, () => {
    if (drawn.some((e) => e.spec.group === 'time')) echarts.connect('time');
    if (page.svg_out) {
      document.getElementById('svg-out').textContent = drawn[0].chart.renderToSVGString();
    }
    root.dataset.charts = String(drawn.length);
    reveal();
  });
})();
