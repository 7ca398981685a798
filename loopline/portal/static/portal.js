// Draws each chart when it is seen, from the JSON at its address. Colours come from the stylesheet, so light and dark are its business alone.
(() => {
  "use strict";
  const root = document.documentElement;
  const source = document.currentScript.dataset.library;
  const drawn = new Map(); // what is drawn where

  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
  const written = (value, unit) => {
    if (value === null || value === undefined) return "–";
    if (unit === "%") return `${digits.format(value * 100)} %`;
    if (unit === "×") return `${digits.format(value)}×`;
    return unit ? `${digits.format(value)} ${unit}` : digits.format(value);
  };
  const instant = (at) => new Date(at).toISOString().slice(0, 16).replace("T", " ") + " UTC";

  const band = (line, ink) => {
    // an interval: an unseen lower line, and what lies above it filled
    const common = { type: "line", stack: `${line.name} interval`, stackStrategy: "all", z: 1, symbol: "none", lineStyle: { opacity: 0 }, silent: true, tooltip: { show: false } };
    const known = line.points.filter((point) => point.low !== null && point.high !== null);
    if (!known.length) return [];
    return [
      { ...common, name: line.name, color: ink, data: known.map((point) => [point.at, point.low]) },
      { ...common, name: line.name, color: ink, areaStyle: { color: ink, opacity: 0.14 }, data: known.map((point) => [point.at, point.high - point.low]) },
    ];
  };

  const stroke = { line: { width: 2, type: "solid" }, dashed: { width: 2, type: "dashed" }, bound: { width: 1.25, type: [5, 4] } };

  const series = (chart, ink) => chart.lines.flatMap((line, place) => {
    const bound = line.style === "bound";
    const own = bound ? colour("--bad") : colour(`--line-${(place % 6) + 1}`);
    const few = line.points.length <= 60;
    return [
      {
        name: line.name, type: "line", color: own, symbol: "circle", symbolSize: 5, showSymbol: few && !bound, z: 3,
        lineStyle: stroke[line.style] || stroke.line,
        data: line.points.map((point) => ({ value: [point.at, point.value], point })),
        ...(place === 0 && chart.marks.length ? { markLine: marks(chart, ink) } : {}),
      },
      ...(bound ? [] : band(line, own)),
    ];
  });

  const marks = (chart, ink) => ({
    symbol: ["none", "none"], silent: false, animation: false,
    label: { formatter: (given) => given.data.label_, position: "insideEndTop", rotate: 0, fontSize: 10, color: ink.soft, distance: 2 },
    data: chart.marks.map((mark) => ({
      xAxis: mark.at, label_: mark.kind === "alarm" ? "" : mark.label, name: mark.label,
      lineStyle: mark.kind === "alarm" ? { color: colour("--bad"), width: 1.5, type: "solid", opacity: 0.7 } : { color: ink.soft, width: 1, type: "dotted" },
    })),
    tooltip: { formatter: (given) => `${given.name}\n${instant(given.data.xAxis)}` },
  });

  const said = (chart) => (given) => {
    const rows = given.filter((one) => one.data && one.data.point);
    if (!rows.length) return "";
    const lines = rows.map((one) => {
      const { value, low, high, label } = one.data.point;
      const between = low !== null && high !== null ? ` (${written(low, chart.unit)} to ${written(high, chart.unit)})` : "";
      return `${one.seriesName}: ${written(value, chart.unit)}${between}${label ? `, ${label}` : ""}`;
    });
    return [instant(rows[0].data.point.at), ...lines].join("\n");
  };

  // how many lines the legend takes: its names wrap, and the picture begins below them
  const legendRows = (names, width) => {
    let rows = 1;
    let used = 0;
    for (const name of names) {
      const own = 34 + name.length * 7;
      if (used && used + own > width) { rows += 1; used = 0; }
      used += own;
    }
    return rows;
  };

  const options = (chart, width) => {
    const ink = { text: colour("--ink"), soft: colour("--soft"), line: colour("--line"), sheet: colour("--sheet") };
    const names = chart.lines.map((line) => line.name);
    return {
      animation: false, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: ink.soft },
      aria: { enabled: false },
      grid: { left: 8, right: 16, top: names.length > 1 ? 14 + 22 * legendRows(names, width) : 14, bottom: 4, containLabel: true },
      legend: names.length > 1 ? { top: 0, left: 0, itemWidth: 16, itemHeight: 8, itemGap: 14, textStyle: { color: ink.text, fontSize: 12 }, data: names } : undefined,
      tooltip: { trigger: "axis", renderMode: "richText", confine: true, backgroundColor: ink.sheet, borderColor: ink.line, textStyle: { color: ink.text, fontSize: 12 }, formatter: said(chart), axisPointer: { lineStyle: { color: ink.soft } } },
      xAxis: { type: "time", axisLine: { lineStyle: { color: ink.line } }, axisTick: { show: false }, axisLabel: { color: ink.soft, hideOverlap: true, fontSize: 11 }, splitLine: { show: false } },
      yAxis: { type: "value", min: chart.y_from ?? undefined, scale: chart.y_from === null, axisLabel: { color: ink.soft, fontSize: 11, formatter: (value) => written(value, chart.unit) }, splitNumber: 4, splitLine: { lineStyle: { color: ink.line, opacity: 0.7 } } },
      series: series(chart, ink),
    };
  };

  const draw = (chart, place) => {
    const picture = window.echarts.getInstanceByDom(place) || window.echarts.init(place, null, { renderer: "canvas" });
    picture.setOption(options(chart, place.clientWidth), { notMerge: true });
    drawn.set(place, chart);
  };

  // the library is 600 KB: it is fetched once, for the first chart that somebody sees
  let library;
  const drawing = () => {
    library ||= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = source;
      script.onload = resolve;
      script.onerror = () => { library = undefined; reject(new Error("the drawing library did not come")); };
      document.head.append(script);
    });
    return library;
  };

  const fetched = async (address) => {
    const answer = await fetch(address, { headers: { accept: "application/json" } });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error ? `${told.error.problem}. ${told.error.fix}` : `status ${answer.status}`);
    return told.chart;
  };

  const show = async (place) => {
    try {
      const [chart] = await Promise.all([fetched(place.dataset.chart), drawing()]);
      if (place.isConnected) draw(chart, place);
    } catch (error) {
      place.textContent = `This chart cannot be drawn: ${error.message}`;
      place.classList.add("undrawn");
    }
  };

  const seen = new IntersectionObserver((places) => places.filter((one) => one.isIntersecting).forEach((one) => {
    seen.unobserve(one.target);
    show(one.target);
  }), { rootMargin: "100px" });
  const watch = (within) => within.querySelectorAll("[data-chart]").forEach((place) => seen.observe(place));

  document.addEventListener("DOMContentLoaded", () => watch(document));
  document.addEventListener("htmx:load", (event) => event.detail.elt !== document.body && watch(event.detail.elt));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
  new ResizeObserver(() => drawn.forEach((chart, place) => {
    if (!place.isConnected) { drawn.delete(place); return; }
    const picture = window.echarts.getInstanceByDom(place);
    if (!picture || picture.getWidth() === place.clientWidth) return;
    picture.resize();
    draw(chart, place);
  })).observe(root);

  // a filter's form asks again as soon as something is chosen
  document.addEventListener("change", (event) => {
    const form = event.target.closest && event.target.closest("form[data-at-once]");
    if (form && event.target.tagName === "SELECT") form.requestSubmit();
  });

  // a form that is being sent is not sent again; what went wrong is read out first
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-once]");
    if (!form) return;
    if (form.getAttribute("aria-busy") === "true") { event.preventDefault(); return; }
    form.setAttribute("aria-busy", "true");
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-once]").forEach((form) => form.removeAttribute("aria-busy")));
  document.querySelectorAll("[data-first]").forEach((place) => place.focus());
})();
