// Functions that run inside the page. They are sent as text, so they work although JavaScript of the page is off.

export const inPage = `globalThis.inPage = (${body})();`;

function body() {
  const squeeze = (text) => text.replace(/\s+/g, ' ').trim();
  const name = (element) => `<${element.localName} class="${element.getAttribute('class') ?? ''}"> ${squeeze(element.textContent).slice(0, 60)}`;

  // [red, green, blue, alpha], each from 0 to 1, as the browser paints it.
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const colour = (text) => {
    if (!known.has(text)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      known.set(text, [...canvas.getImageData(0, 0, 1, 1).data].map((value) => value / 255));
    }
    return known.get(text);
  };
  const over = (top, below) => [0, 1, 2].map((at) => top[at] * top[3] + below[at] * (1 - top[3]));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (light + 0.05) / (dark + 0.05);
  };
  // The colour behind an element, down to the browser's own background.
  const behind = (element) => {
    const own = colour(getComputedStyle(element).backgroundColor);
    if (own[3] === 1) return own;
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    const below = element.parentElement ? behind(element.parentElement) : dark ? [0.07, 0.07, 0.07] : [1, 1, 1];
    return over(own, below);
  };
  // Hidden from sight, for screen readers only.
  const clipped = (element) => element !== null
    && (getComputedStyle(element).clipPath !== 'none' || clipped(element.parentElement));
  const seen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    && !clipped(element);

  return {
    // Elements that are wider than the window, and text that is cut off.
    overflows() {
      const width = document.documentElement.clientWidth;
      const faults = [];
      if (document.documentElement.scrollWidth > width) {
        faults.push(`the page is ${document.documentElement.scrollWidth} px wide`);
      }
      for (const element of document.querySelectorAll('body *')) {
        if (!seen(element) || element.closest('svg')) continue;
        const { left, right, width: wide } = element.getBoundingClientRect();
        if (wide && (left < -0.5 || right > width + 0.5)) faults.push(`overflows: ${name(element)}`);
        if (getComputedStyle(element).overflow !== 'visible' && element.scrollWidth > element.clientWidth) {
          faults.push(`is cut off: ${name(element)}`);
        }
      }
      return faults.slice(0, 5);
    },

    // Text with less contrast than 4.5:1, and lines of drawings with less than 3:1.
    pale() {
      const faults = new Set();
      let texts = 0;
      for (const element of document.querySelectorAll('body *')) {
        if (!seen(element)) continue;
        const style = getComputedStyle(element);
        const drawn = element.matches('polyline, .used, circle');
        const words = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
        if (!drawn && !words) continue;
        texts += words;
        const paint = !drawn ? style.color : style.stroke === 'none' ? style.fill : style.stroke;
        const back = behind(drawn ? element.closest('td') : element);
        const ratio = contrast(over(colour(paint), back), back);
        if (ratio < (drawn ? 3 : 4.5)) faults.add(`contrast of ${ratio.toFixed(2)}: ${name(element)}`);
        if (words && parseFloat(style.fontSize) < 13) faults.add(`too small: ${name(element)}`);
      }
      // A label that the style writes.
      for (const cell of document.querySelectorAll('td')) {
        const label = getComputedStyle(cell, '::before');
        if (label.content === 'none') break;
        const ratio = contrast(colour(label.color), behind(cell));
        if (ratio < 4.5) faults.add(`contrast of ${ratio.toFixed(2)}: the label ${label.content}`);
      }
      return { faults: [...faults].slice(0, 5), texts };
    },

    rows() {
      return [...document.querySelectorAll('tbody tr')].map((row) => ({
        name: row.querySelector('.name').textContent,
        namespace: row.querySelector('.namespace').textContent,
        state: row.querySelector('.state').textContent,
        loud: colour(getComputedStyle(row.querySelector('.state')).backgroundColor)[3] === 1,
        text: squeeze(row.innerText),
      }));
    },

    focusable() {
      const scrolls = (element) => /auto|scroll/.test(getComputedStyle(element).overflow) && element.tabIndex < 0;
      return {
        wanted: [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex]')].map((element) => squeeze(element.textContent)),
        unreachable: [...document.querySelectorAll('body *')].filter(scrolls).map(name),
      };
    },

    focused() {
      const element = document.activeElement;
      const style = getComputedStyle(element);
      const { left, top, width, height } = element.getBoundingClientRect();
      const there = document.elementFromPoint(left + width / 2, top + height / 2);
      return {
        name: squeeze(element.textContent),
        outline: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth),
        covered: !there || !(element.contains(there) || there.contains(element)),
      };
    },

    topOfTarget() {
      return document.querySelector(':target')?.getBoundingClientRect().top ?? null;
    },
  };
}
