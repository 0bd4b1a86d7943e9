// Controls: buttons, slider, keys, the address, the theme; and the start of it all.
'use strict';

const $ = (id) => document.getElementById(id);
let current = 0; // the step that is shown
let timer = null;

function show(number, smoothly = true) {
  current = Math.max(0, Math.min(steps.length - 1, number));
  const step = steps[current];
  tellStep(step);
  colourGraph(step);
  const box = step.last === SEED ? boxOf.get(data.output) : boxAt(step.last);
  if (step.frame !== null) follow(data.frames[step.frame].place, smoothly);
  else if (box !== null) follow(data.boxes[box].place, smoothly);
  $('slider').value = current;
  $('slider').setAttribute('aria-valuetext', `${$('counter').textContent}: ${$('heading').textContent}`);
  $('first').disabled = $('previous').disabled = current === 0;
  $('next').disabled = $('last').disabled = current === steps.length - 1;
  if (location.hash !== `#step=${step.last}`) history.replaceState(null, '', `#step=${step.last}`);
}

function goToEvent(event, smoothly = true) {
  show(stepWith(event), smoothly);
}

/** To the step of a box: its op forward or backward, as it is now; for a leaf, where its gradient is complete. */
function goToBox(box) {
  const isForward = steps[current].last < SEED;
  const forward = forwardEventOf.get(box);
  if (forward) return goToEvent(isForward ? forward : backwardEventOf.get(box) ?? forward);
  const arrivals = gradientsOf.get(data.boxes[box].outputs[0][1]) || [];
  return goToEvent(isForward || !arrivals.length ? 0 : arrivals.at(-1)[0]);
}

// ------------------------------------------------------------ folding

function frameOfStep() {
  const step = steps[current];
  if (step.frame !== null) return step.frame;
  const box = step.last === SEED ? boxOf.get(data.output) : boxAt(step.last);
  return box === null ? null : frameOf.get(box) ?? null;
}

function setFolded(frame, closed) {
  refold(() => { isOpen[frame] = !closed; });
}

function refold(change) {
  const event = steps[current].last;
  change();
  makeSteps();
  sizeTrack();
  goToEvent(event);
  tellFoldButton();
}

function toggleFold() {
  const frame = frameOfStep();
  if (frame !== null) setFolded(frame, isOpen[frame]);
}

function toggleAll() {
  const close = isOpen.some(Boolean);
  refold(() => isOpen.fill(!close));
}

function tellFoldButton() {
  $('fold-all').textContent = isOpen.some(Boolean) ? 'Fold' : 'Unfold';
}

function sizeTrack() {
  $('slider').max = steps.length - 1;
  const forward = stepWith(SEED);
  $('forward-part').style.flex = forward;
  $('backward-part').style.flex = steps.length - forward;
}

// ------------------------------------------------------------ playing

function togglePlay() {
  if (timer) return pause();
  if (current === steps.length - 1) show(0);
  timer = setTimeout(tick, 1400 / Number($('speed').value));
  $('play').textContent = 'Pause';
  return $('play').setAttribute('aria-label', 'Pause');
}

function tick() {
  show(current + 1);
  if (current === steps.length - 1) return pause();
  timer = setTimeout(tick, 1400 / Number($('speed').value));
  return timer;
}

function pause() {
  clearTimeout(timer);
  timer = null;
  $('play').textContent = 'Play';
  $('play').setAttribute('aria-label', 'Play');
}

// ------------------------------------------------------------ keys, buttons, theme

function byHand(action) {
  return () => { pause(); action(); };
}

const actions = {
  ArrowRight: byHand(() => show(current + 1)),
  ArrowLeft: byHand(() => show(current - 1)),
  Home: byHand(() => show(0)),
  End: byHand(() => show(steps.length - 1)),
  ' ': togglePlay,
  b: byHand(() => goToEvent(SEED)),
  f: byHand(toggleFold),
  F: byHand(toggleAll),
  t: toggleTheme,
  0: fitGraph,
  '+': () => zoomBy(1.25),
  '=': () => zoomBy(1.25),
  '-': () => zoomBy(0.8),
  '?': () => $('help').showModal(),
};
const moves = { ArrowRight: [-60, 0], ArrowLeft: [60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };

document.addEventListener('keydown', (event) => {
  if ($('help').open || event.ctrlKey || event.metaKey || event.altKey) return;
  const on = event.target;
  if (on.tagName === 'SELECT' || (event.key === ' ' && ['BUTTON', 'SUMMARY'].includes(on.tagName))) return;
  const moveSlider = ['ArrowRight', 'ArrowLeft', 'Home', 'End'].includes(event.key) && !event.shiftKey;
  if (on.id === 'slider' && moveSlider) return; // it does so by itself
  const action = event.shiftKey && moves[event.key] ? () => pan(...moves[event.key]) : actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

function isDark() {
  return document.documentElement.dataset.theme === 'dark';
}

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  $('theme').textContent = dark ? 'Light' : 'Dark';
  for (const canvas of document.querySelectorAll('canvas')) canvas.dispatchEvent(new Event('themechange'));
}

function toggleTheme() {
  setTheme(!isDark());
}

function start() {
  const prefersDark = window.matchMedia('(prefers-color-scheme: dark)');
  setTheme(prefersDark.matches);
  prefersDark.addEventListener('change', () => setTheme(prefersDark.matches));
  $('title').textContent = data.title;
  document.title = data.title;
  $('fold-all').hidden = !data.frames.length;
  drawGraph();
  makeSteps();
  sizeTrack();
  tellFoldButton();
  fitGraph();
  if (camera.scale < 0.55) { // too small to read: the first op instead, and then what each step is about
    camera = { scale: 0.8, x: pane.clientWidth / 2 - data.boxes[workers[0]].place[0] * 0.8, y: 16 };
    moveCamera(false);
  }
  const linked = () => Number((location.hash.match(/^#step=(\d+)$/) || [0, 0])[1]);
  goToEvent(Math.min(linked(), END), false);
  window.addEventListener('hashchange', () => goToEvent(Math.min(linked(), END)));
  $('slider').addEventListener('input', byHand(() => show(Number($('slider').value))));
  for (const [id, action] of Object.entries({
    first: actions.Home, previous: actions.ArrowLeft, play: togglePlay, next: actions.ArrowRight, last: actions.End,
    'fold-all': actions.F, fit: fitGraph, theme: toggleTheme,
    'help-open': actions['?'], 'help-close': () => $('help').close(),
    'zoom-in': actions['+'], 'zoom-out': actions['-'],
  })) $(id).addEventListener('click', action);
}

start();
