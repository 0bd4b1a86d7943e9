// Numbers and arrays as elements of the page: numbers as text or tables, many of them as heat maps, images as images.
'use strict';

const SVG = 'http://www.w3.org/2000/svg';

/** An element with a class, attributes and children (elements or text). */
function make(tag, className = '', attributes = {}, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ''));
  return element;
}

/** A number to four significant digits; what JSON cannot hold (inf, nan, complex) comes as text already. */
function shortNumber(x) {
  if (typeof x !== 'number') return String(x).replaceAll('-', '−');
  if (x === 0) return '0';
  const size = Math.abs(x);
  const isFar = size >= 1e6 || size < 1e-4;
  const text = isFar ? x.toExponential(3).replace(/\.?0+e/, 'e') : String(Number(x.toPrecision(4)));
  return text.replaceAll('-', '−').replace('e+', 'e');
}

/** "1 op", "3 ops". */
function counted(n, word) {
  return `${n} ${word}${n === 1 ? '' : 's'}`;
}

function shapeText(shape) {
  return shape.length ? `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})` : 'a number';
}

/** What fits into a box of the graph: the number itself, or the shape. */
function briefly(array) {
  return array.numbers && array.numbers.length === 1 ? shortNumber(array.numbers[0]) : shapeText(array.shape);
}

/** The largest absolute number of an array as text; for a box of the graph. */
function extent(array) {
  if (array.numbers && array.numbers.length === 1) return shortNumber(array.numbers[0]);
  if (array.numbers) {
    const sizes = array.numbers.filter((x) => typeof x === 'number').map(Math.abs);
    return sizes.length ? `|…| ≤ ${shortNumber(Math.max(...sizes))}` : shapeText(array.shape);
  }
  if (!array.stats) return 'not finite';
  return `|…| ≤ ${shortNumber(Math.max(Math.abs(array.stats[0]), Math.abs(array.stats[2])))}`;
}

/** An array as a figure; `role` says what it is, for whoever reads the page. */
function arrayFigure(number, role) {
  if (number === null || number === undefined) return make('span', 'missing', { 'data-role': role }, 'not known');
  const array = data.arrays[number];
  const shape = array.shape.join(',');
  const figure = make('figure', 'array', { 'data-role': role, 'data-array': number, 'data-shape': shape });
  if (array.numbers) figure.append(numbersElement(array));
  else figure.append(...heatMap(array));
  return figure;
}

function numbersElement(array) {
  const { shape, numbers } = array;
  if (!numbers.length) return make('span', 'quiet', {}, `no elements, shape ${shapeText(shape)}`);
  if (numbers.length === 1) {
    return numberElement('span', numbers[0], shape.length ? `${numbers[0]}, shape ${shapeText(shape)}` : '');
  }
  const columns = shape[shape.length - 1];
  const rows = shape.length > 1 ? shape[shape.length - 2] : 1;
  const scroll = make('div', 'scroll');
  for (let start = 0; start < numbers.length; start += rows * columns) {
    const table = make('table', shape.length > 1 ? '' : 'line', { 'aria-label': `numbers, shape ${shapeText(shape)}` });
    for (let row = 0; row < rows; row += 1) {
      const from = start + row * columns;
      table.append(make('tr', '', {}, ...numbers.slice(from, from + columns).map((x) => numberElement('td', x, ''))));
    }
    scroll.append(table);
  }
  return make('div', '', {}, scroll, make('p', 'about', {}, `${shapeText(shape)} ${array.dtype}`));
}

function numberElement(tag, x, title) {
  return make(tag, tag === 'span' ? 'number' : '', { 'data-value': x, title: title || String(x) }, shortNumber(x));
}

// ------------------------------------------------------------ heat maps

const decoded = new Map(); // cells of heat maps, by their base64

/** The cells as numbers, row by row; NaN for what is not finite. */
function cellsOf(array) {
  if (!decoded.has(array.cells)) {
    const bytes = Uint8Array.from(atob(array.cells), (c) => c.charCodeAt(0));
    const steps = new DataView(bytes.buffer);
    const cells = new Float64Array(bytes.length / 2);
    for (let i = 0; i < cells.length; i += 1) {
      const step = steps.getInt16(2 * i, true);
      cells[i] = step === -32768 ? NaN : (step / 32767) * array.scale;
    }
    decoded.set(array.cells, cells);
  }
  return decoded.get(array.cells);
}

function heatMap(array) {
  const [count, height, width] = array.tiles;
  const perTile = array.image === 3 ? 3 : 1;
  const tiles = count / perTile;
  const gap = tiles > 1 ? 1 : 0;
  const across = width <= 11 ? Math.min(tiles, 8) : Math.ceil(Math.sqrt(tiles));
  const down = Math.ceil(tiles / across);
  const cellsWide = across * (width + gap) - gap;
  const cellsHigh = down * (height + gap) - gap;
  const zoom = Math.max(1, Math.min(14, Math.floor(300 / Math.max(cellsWide, cellsHigh)) || 1));
  const canvas = make('canvas', '', { role: 'img', width: cellsWide, height: cellsHigh, 'data-scale': array.scale });
  canvas.style.width = `${cellsWide * zoom}px`;
  if (cellsHigh === 1) canvas.style.height = '18px';
  if (array.stats) ['min', 'mean', 'max'].forEach((name, i) => canvas.setAttribute(`data-${name}`, array.stats[i]));
  const tile = (i) => [(i % across) * (width + gap), Math.floor(i / across) * (height + gap)];
  paint(canvas, array, perTile, tile);
  canvas.addEventListener('themechange', () => paint(canvas, array, perTile, tile));
  const words = heatMapWords(array, tiles);
  canvas.setAttribute('aria-label', words.join('; '));
  const scale = array.image ? null : scaleBar(array.scale);
  const shown = make('p', 'about', {}, words.join('; '));
  showUnderPointer(canvas, array, perTile, tile, tiles, shown, words.join('; '));
  return [canvas, scale, shown].filter(Boolean);
}

function heatMapWords(array, tiles) {
  const words = [`${shapeText(array.shape)} ${array.dtype}${array.absolute ? ', absolute values' : ''}`];
  const stat = (name, i) => `${name} ${shortNumber(array.stats[i])}`;
  if (array.stats) words.push(['min', 'mean', 'max'].map(stat).join(', '));
  if (array.lost) words.push(`${array.lost} not finite`);
  const all = array.image === 3 ? array.planes / 3 : array.planes;
  if (tiles < all) words.push(`the first ${tiles} of ${all} ${array.image ? 'image' : array.plane}s are shown`);
  const [down, across] = array.block;
  if (down > 1 || across > 1) words.push(`each cell is the mean of ${down}×${across} numbers`);
  return words;
}

function paint(canvas, array, perTile, tile) {
  const [count, height, width] = array.tiles;
  const context = canvas.getContext('2d');
  const image = context.createImageData(canvas.width, canvas.height);
  const cells = cellsOf(array);
  const colours = diverging();
  for (let t = 0; t < count / perTile; t += 1) {
    const [left, top] = tile(t);
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const at = 4 * ((top + y) * canvas.width + left + x);
        const cell = (channel) => cells[((t * perTile + channel) * height + y) * width + x];
        const light = (channel) => 255 * (cell(perTile === 3 ? channel : 0) / (array.scale || 1));
        const rgb = array.image ? [0, 1, 2].map(light) : colours(cell(0), array.scale);
        image.data.set([...rgb, 255], at);
      }
    }
  }
  context.putImageData(image, 0, 0);
}

/** Colour of a number on a scale: two colours away from the middle, a third for what is not finite. */
function diverging() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim().split(' ').map(Number);
  const [negative, middle, positive] = ['--negative', '--middle', '--positive'].map(colour);
  return (x, scale) => {
    if (Number.isNaN(x)) return [200, 60, 200];
    const part = scale ? x / scale : 0;
    const end = part < 0 ? negative : positive;
    return middle.map((m, i) => m + (end[i] - m) * Math.abs(part));
  };
}

function scaleBar(scale) {
  const bar = make('i');
  bar.style.background = 'linear-gradient(90deg, rgb(var(--negative)), rgb(var(--middle)), rgb(var(--positive)))';
  return make('div', 'scale', {}, shortNumber(-scale), bar, shortNumber(scale));
}

function showUnderPointer(canvas, array, perTile, tile, tiles, caption, words) {
  const [, height, width] = array.tiles;
  canvas.addEventListener('pointermove', (event) => {
    const x = Math.floor((event.offsetX / canvas.clientWidth) * canvas.width);
    const y = Math.floor((event.offsetY / canvas.clientHeight) * canvas.height);
    for (let t = 0; t < tiles; t += 1) {
      const [left, top] = tile(t);
      if (x >= left && x < left + width && y >= top && y < top + height) {
        const cell = (channel) => cellsOf(array)[((t * perTile + channel) * height + y - top) * width + x - left];
        const numbers = [...Array(perTile).keys()].map(cell);
        const place = tiles > 1 ? `${array.plane || 'plane'} ${t}, ` : '';
        caption.textContent = `${place}row ${y - top}, column ${x - left}: ${numbers.map(shortNumber).join(', ')}`;
        return;
      }
    }
  });
  canvas.addEventListener('pointerleave', () => { caption.textContent = words; });
}
