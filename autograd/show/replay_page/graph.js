// The graph pane: boxes, edges and frames where Graphviz has put them, coloured by what is known; pan and zoom.
'use strict';

const svg = document.getElementById('picture');
const pane = document.getElementById('canvas');
const boxElements = [];
const edgeElements = [];
const frameElements = [];
let view; // the <g> that is moved
let camera = { x: 0, y: 0, scale: 1 };

/** An SVG element with attributes and children. */
function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function clipped(text, width, size) {
  const room = Math.floor((width - 12) / size);
  return text.length > room ? `${text.slice(0, Math.max(room - 1, 1))}…` : text;
}

function rectangle([x, y, width, height], className, grow = 0) {
  const corner = { x: x - width / 2 - grow, y: y - height / 2 - grow, rx: 8 + grow };
  return draw('rect', { class: className, ...corner, width: width + 2 * grow, height: height + 2 * grow });
}

function drawGraph() {
  view = draw('g', { class: 'view' });
  const size = { viewBox: '0 0 8 8', markerWidth: 8, markerHeight: 8, markerUnits: 'userSpaceOnUse' };
  const arrow = { id: 'arrow', ...size, refX: 7.5, refY: 4, orient: 'auto' };
  svg.append(draw('defs', {}, draw('marker', arrow, draw('path', { class: 'head', d: 'M0 0.5L8 4L0 7.5z' }))));
  data.frames.forEach((frame, number) => view.append(drawFrame(frame, number)));
  data.edges.forEach(([tail, head, value, name, path]) => {
    const edge = draw('path', { class: 'edge', d: path, 'marker-end': 'url(#arrow)' });
    edgeElements.push({ edge, tail, head, value });
    view.append(edge);
  });
  data.boxes.forEach((box, number) => view.append(drawBox(box, number)));
  data.frames.forEach((frame, number) => view.append(drawCover(frame, number))); // over all that they hide
  svg.append(view);
}

function drawBox(box, number) {
  const [x, y, width, height] = box.place;
  const title = groupTitle(box);
  const texts = [draw('text', { class: 'title', x, y: y - height / 2 + 20 }, clipped(title, width, 7.4))];
  const value = draw('text', { class: 'amount', x, y: y - height / 2 + 37 });
  const derived = draw('text', { class: 'amount derived', x, y: y - height / 2 + 53 });
  texts.push(value, ...(box.kind === 'constant' ? [] : [derived]));
  const group = draw('g', { class: `box ${box.kind}`, 'data-box': number },
    draw('title', {}, title), rectangle(box.place, ''), rectangle(box.place, 'ring', 4), ...texts);
  group.addEventListener('click', () => { if (!wasDragged) goToBox(number); });
  boxElements.push({ group, value, derived });
  return group;
}

/** A folded group with the number of its ops, unless its title says that already. */
function groupTitle(box) {
  return box.kind !== 'group' || box.cut ? box.title : `${box.title} · ${counted(box.ops, 'op')}`;
}

function drawFrame(frame, number) {
  const [x, y, width, height] = frame.place;
  const title = `▾ ${clipped(frame.title, width - 16, 7)}`;
  const handle = draw('text', { class: 'handle', x: x - width / 2 + 10, y: y - height / 2 + 17 }, title);
  handle.addEventListener('click', () => { if (!wasDragged) setFolded(number, true); });
  const group = draw('g', { class: 'frame' }, rectangle(frame.place, ''), handle);
  frameElements.push({ group });
  return group;
}

/** What is shown in the place of a closed frame: one box as large as the frame, so that nothing else moves. */
function drawCover(frame, number) {
  const [title, count] = [draw('text', {}, `▸ ${frame.title}`), draw('text', {}, counted(frame.ops, 'op'))];
  const cover = draw('g', { class: 'cover', 'data-frame': number },
    draw('title', {}, frame.title), rectangle(frame.place, ''), title, count);
  cover.addEventListener('click', () => { if (!wasDragged) setFolded(number, false); });
  Object.assign(frameElements[number], { cover, title, count });
  return draw('g', { class: 'frame' }, cover);
}

/** Titles of closed frames: large enough to be read wherever the camera is, as far as they fit into the frame. */
function sizeTitles() {
  data.frames.forEach(({ title: text, place: [x, y, width, height] }, number) => {
    if (isOpen[number]) return;
    const { title, count } = frameElements[number];
    const fitting = Math.min(height / 3, width / (0.62 * (text.length + 2)));
    const size = Math.min(Math.max(15 / camera.scale, 13), fitting);
    title.setAttribute('font-size', size);
    count.setAttribute('font-size', size * 0.7);
    for (const [element, below] of [[title, -0.1], [count, 0.85]]) {
      element.setAttribute('x', x);
      element.setAttribute('y', y + below * size);
    }
  });
}

// ------------------------------------------------------------ what is known

/** "": nothing is computed; "value", "value partial": a gradient adds up; "value gradient": it is complete. */
function stateOf(box, event) {
  const { outputs, kind } = data.boxes[box];
  if (!outputs.every(([, value]) => isComputed(value, event))) return '';
  if (kind === 'constant') return 'value';
  const found = outputs.map(([, value]) => gradientAfter(value, event)).filter(Boolean);
  if (!found.length) return 'value';
  const isComplete = found.length === outputs.length && found.every(([, complete]) => complete);
  return isComplete ? 'value gradient' : 'value partial';
}

/** Writes only what differs: from one step to the next most of the graph stays as it is. */
function setClass(element, className) {
  if (element.getAttribute('class') !== className) element.setAttribute('class', className);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function colourGraph(step) {
  const event = step.last;
  const states = data.boxes.map((box, number) => stateOf(number, event));
  const current = new Set();
  for (let at = step.first; at <= step.last; at += 1) if (boxAt(at) !== null) current.add(boxAt(at));
  if (event === SEED) current.add(boxOf.get(data.output));
  boxElements.forEach((elements, number) => colourBox(elements, number, event, states[number], current.has(number)));
  edgeElements.forEach(({ edge, tail, head, value }) => {
    const isNow = current.has(head) && step.last !== SEED;
    const pulledAt = backwardEventOf.get(head);
    const carries = event >= pulledAt && (gradientsOf.get(value) || []).some(([at]) => at === pulledAt);
    const isUsed = isComputed(value, event) && event >= forwardEventOf.get(head);
    const state = carries ? 'gradient' : isUsed ? 'value' : '';
    setClass(edge, `edge ${state}${isNow ? ' now' : ''}`);
  });
  data.frames.forEach((frame, number) => colourFrame(number, states, step));
  sizeTitles();
}

function colourBox({ group, value, derived }, number, event, state, isNow) {
  const box = data.boxes[number];
  const hidden = hiddenBy(number) !== null ? ' hidden' : '';
  setClass(group, `box ${box.kind} ${state}${isNow ? ' now' : ''}${hidden}`);
  const width = box.place[2];
  const [, shown] = box.outputs[0] || [];
  const array = shown === undefined ? null : data.arrays[data.values[shown].array];
  const several = box.outputs.length > 1 ? `${box.outputs.length} outputs` : '';
  const known = several || (array ? briefly(array) : 'not known');
  setText(value, clipped(state === '' ? 'not computed' : known, width, 6.1));
  const gradient = several || shown === undefined ? null : gradientAfter(shown, event);
  const isKnown = gradient && gradient[0] !== null;
  const shownGradient = isKnown ? `∂ ${extent(data.arrays[gradient[0]])}` : '∂ not computed';
  setText(derived, several ? '' : clipped(shownGradient, width, 6.1));
}

function colourFrame(number, boxStates, step) {
  const closed = !isOpen[number];
  const hidden = outerFrames(number).some((outer) => !isOpen[outer]);
  const inside = insideOf[number].filter((box) => data.boxes[box].kind !== 'constant');
  const states = inside.map((box) => boxStates[box]);
  let state = states.every(Boolean) && states.length ? 'value' : '';
  if (states.length && states.every((s) => s === 'value gradient')) state = 'value gradient';
  else if (states.some((s) => s.includes('gradient') || s.includes('partial'))) state = 'value partial';
  const { group, cover } = frameElements[number];
  setClass(group, `frame${hidden || closed ? ' hidden' : ''}`);
  setClass(cover.parentNode, `frame${closed && !hidden ? ' closed' : ''}`);
  setClass(cover, `cover ${state}${step.frame === number ? ' now' : ''}`);
}

/** The title of a frame with those around it: "features/block1". */
function pathOf(number) {
  return [number, ...outerFrames(number)].reverse().map((frame) => data.frames[frame].title).join('/');
}

function outerFrames(number) {
  const found = [];
  for (let outer = data.frames[number].outer; outer !== null; outer = data.frames[outer].outer) found.push(outer);
  return found;
}

// ------------------------------------------------------------ pan and zoom

function moveCamera(smoothly) {
  view.classList.toggle('moved', !smoothly);
  view.style.transform = `translate(${camera.x}px, ${camera.y}px) scale(${camera.scale})`;
  sizeTitles();
}

function fitGraph() {
  const [width, height] = data.size;
  const scale = Math.min(1.4, (pane.clientWidth - 48) / width, (pane.clientHeight - 48) / height);
  camera = { scale, x: (pane.clientWidth - width * scale) / 2, y: (pane.clientHeight - height * scale) / 2 };
  moveCamera(true);
}

function zoomBy(factor, x = pane.clientWidth / 2, y = pane.clientHeight / 2) {
  const scale = Math.min(4, Math.max(0.02, camera.scale * factor));
  const ratio = scale / camera.scale;
  camera = { scale, x: x - (x - camera.x) * ratio, y: y - (y - camera.y) * ratio };
  moveCamera(false);
}

function pan(dx, dy) {
  camera.x += dx;
  camera.y += dy;
  moveCamera(true);
}

/** Brings a rectangle of the graph into view: nothing moves where it is there already. */
function follow([x, y, width, height], smoothly) {
  const [left, top] = [camera.x + x * camera.scale, camera.y + y * camera.scale];
  const [w, h] = [(width * camera.scale) / 2 + 24, (height * camera.scale) / 2 + 24];
  const inX = left - w >= 0 && left + w <= pane.clientWidth;
  const inY = top - h >= 0 && top + h <= pane.clientHeight;
  if (inX && inY) return;
  camera.x += pane.clientWidth / 2 - left;
  camera.y += pane.clientHeight / 2 - top;
  moveCamera(smoothly);
}

const pointers = new Map();
let wasDragged = false;

pane.addEventListener('pointerdown', (event) => {
  if (event.target.closest('button')) return;
  if (!pointers.size) wasDragged = false;
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
});
window.addEventListener('pointermove', (event) => {
  const last = pointers.get(event.pointerId);
  if (!last) return;
  const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
  if (!wasDragged && Math.hypot(dx, dy) < 4) return; // a click, so far
  wasDragged = true;
  const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
  if (others.length) pinch(last, [event.clientX, event.clientY], others[0]);
  else { camera.x += dx; camera.y += dy; moveCamera(false); }
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
});
for (const name of ['pointerup', 'pointercancel']) {
  window.addEventListener(name, (event) => pointers.delete(event.pointerId));
}
pane.addEventListener('wheel', (event) => {
  event.preventDefault();
  const place = pane.getBoundingClientRect();
  zoomBy(Math.exp(-event.deltaY * 0.0015), event.clientX - place.left, event.clientY - place.top);
}, { passive: false });

function pinch(from, to, fixed) {
  const place = pane.getBoundingClientRect();
  const distance = (point) => Math.hypot(point[0] - fixed[0], point[1] - fixed[1]) || 1;
  zoomBy(distance(to) / distance(from), (to[0] + fixed[0]) / 2 - place.left, (to[1] + fixed[1]) / 2 - place.top);
}
