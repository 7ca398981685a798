// What a page does beyond being read: parts that refresh themselves, single figures of a picture, forms sent once.
// Every page stands without it. Nothing here is needed before a page is painted.
(() => {
  "use strict";

  const told = async (address, type) => {
    const answer = await fetch(address, { headers: { accept: type } });
    if (!answer.ok && type !== "text/html") throw new Error(`status ${answer.status}`);
    return answer;
  };

  // parts: <div data-part="address"> is replaced by what the address answers; with data-again="5" after so many seconds, again
  const replace = async (place) => {
    try {
      const answer = await told(place.dataset.part, "text/html");
      if (!answer.ok || !place.isConnected) throw new Error(`status ${answer.status}`);
      const made = document.createElement("template");
      made.innerHTML = await answer.text();
      const parts = [...made.content.children];
      place.replaceWith(made.content);
      parts.forEach(begin);
    } catch { wait(place); } // whoever looks sees the last that was known
  };
  const wait = (place) => place.dataset.again && setTimeout(() => {
    if (place.isConnected) (document.hidden ? wait : replace)(place);
  }, place.dataset.again * 1000);

  // pictures: the server drew them; their figures are fetched when somebody points at one, or comes to it by keyboard
  const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
  const written = (value, unit) => unit === "%" ? `${digits.format(value * 100)} %` : unit === "×" ? `${digits.format(value)}×` : unit ? `${digits.format(value)} ${unit}` : digits.format(value);
  const instant = (at) => `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;

  const moments = (chart) => {
    // all instants in order, each with what is known of it: [line, its place, its point], and what is marked there
    const found = new Map();
    const of = (at) => found.get(Date.parse(at)) || found.set(Date.parse(at), { rows: [], marks: [] }).get(Date.parse(at));
    chart.lines.forEach((line, place) => line.points.forEach((point) => point.value !== null && of(point.at).rows.push([line, place, point])));
    chart.marks.forEach((mark) => of(mark.at).marks.push(mark.label));
    return [...found].sort(([one], [other]) => one - other).map(([at, what]) => ({ at, ...what }));
  };

  const words = (moment, unit) => [
    instant(moment.at),
    ...moment.rows.map(([line, , point]) => {
      const between = point.low !== null && point.high !== null ? ` (${written(point.low, unit)} to ${written(point.high, unit)})` : "";
      return `${line.name}: ${written(point.value, unit)}${between}${point.label ? `, ${point.label}` : ""}`;
    }),
    ...moment.marks,
  ];

  class Picture {
    constructor(plot) {
      this.plot = plot;
      this.field = plot.querySelector(".field");
      this.place = -1;
      plot.setAttribute("role", "slider"); // it is moved along, and what is there is read out
      plot.tabIndex = 0;
      this.say(0, 0, plot.getAttribute("aria-label"));
      plot.addEventListener("focus", () => plot.matches(":focus-visible") && this.show(this.place < 0 ? Infinity : this.place));
      plot.addEventListener("blur", () => this.hide());
      plot.addEventListener("pointermove", (event) => this.at(event.clientX));
      plot.addEventListener("pointerdown", (event) => this.at(event.clientX));
      plot.addEventListener("pointerleave", () => this.hide());
      plot.addEventListener("keydown", (event) => this.key(event));
    }

    say(now, most, text) {
      const told = { "aria-valuemin": 0, "aria-valuemax": most, "aria-valuenow": now, "aria-valuetext": text };
      Object.entries(told).forEach(([name, value]) => this.plot.setAttribute(name, value));
    }

    figures() {
      this.coming ||= told(this.plot.dataset.chart, "application/json").then((answer) => answer.json())
        .then(({ chart }) => { this.chart = chart; this.moments = moments(chart); });
      this.coming.catch(() => { this.coming = undefined; });
      return this.coming;
    }

    async at(x) {
      this.wanted = x;
      if (!await this.known() || this.wanted !== x) return;
      const box = this.field.getBoundingClientRect();
      const { since, until } = this.plot.dataset;
      const at = Number(since) + (x - box.left) / box.width * (until - since);
      const far = this.moments.map((moment) => Math.abs(moment.at - at));
      this.show(far.indexOf(Math.min(...far)));
    }

    async known() {
      try { await this.figures(); return true; } catch (error) { this.tell([`The figures did not come: ${error.message}`], 0); return false; }
    }

    async key(event) {
      const moved = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity }[event.key];
      if (event.key === "Escape") this.hide();
      if (moved === undefined) return;
      event.preventDefault();
      if (await this.known()) this.show((this.place < 0 ? this.moments.length : this.place) + moved);
    }

    async show(place) {
      if (!await this.known()) return;
      const most = this.moments.length - 1;
      this.place = Math.max(0, Math.min(most, place));
      const moment = this.moments[this.place];
      const { since, until, bottom, top } = this.plot.dataset;
      const share = (moment.at - since) / (until - since);
      const lines = words(moment, this.chart.unit);
      this.say(this.place, most, lines.join("; "));
      this.tell(lines, share, moment.rows.map(([, line, point]) => [line, Math.min(1, Math.max(0, (top - point.value) / (top - bottom)))]));
    }

    tell(lines, share, dots = []) {
      this.hide();
      const left = this.field.getBoundingClientRect().left - this.plot.getBoundingClientRect().left;
      const { clientWidth: width, clientHeight: height } = this.field;
      const put = (name, x, y, text = "") => {
        const made = document.createElement("span");
        made.className = name;
        made.textContent = text;
        made.setAttribute("aria-hidden", "true");
        made.style.left = `${left + x}px`;
        made.style.top = `${y}px`;
        this.plot.append(made);
        return made;
      };
      put("cursor", share * width, 0).style.height = `${height}px`;
      dots.forEach(([line, y]) => put(`dot ${this.colour(line)}`, share * width, y * height));
      const tip = put("tip", 0, 8, lines.join("\n"));
      const room = tip.offsetWidth + 12;
      const x = share * width + 12 + room <= width ? share * width + 12 : Math.max(0, share * width - room);
      tip.style.left = `${left + x}px`;
    }

    colour(line) { return this.field.querySelectorAll("g")[line]?.getAttribute("class") || ""; }

    hide() {
      this.plot.querySelectorAll(".cursor, .dot, .tip").forEach((one) => one.remove());
    }
  }

  const begin = (within) => {
    const all = (what) => [...(within.matches?.(what) ? [within] : []), ...within.querySelectorAll(what)];
    all("[data-part]").forEach((place) => (place.dataset.again ? wait : replace)(place));
    all("[data-chart]").forEach((plot) => new Picture(plot));
  };
  begin(document);

  // a filter's form asks again as soon as something is chosen
  document.addEventListener("change", (event) => {
    const form = event.target.closest && event.target.closest("form[data-at-once]");
    if (form && event.target.tagName === "SELECT") form.requestSubmit();
  });

  // who one is, in the head, closes when one goes on
  const me = document.querySelector("details.me");
  const close = () => { if (me) me.open = false; };
  document.addEventListener("click", (event) => { if (me && !me.contains(event.target)) close(); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });

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
