// Time: the events of the replay, the steps that they make where groups are closed, and what is known when.
//
// Event 0 gives the inputs; then each box computes its value, the pass starts, each box pulls its gradient back, and
// the last event sums up. A closed frame makes one step of the events in a row that happen inside it.
'use strict';

const data = JSON.parse(document.getElementById('data').textContent);

const workers = [...data.boxes.keys()].filter((box) => ['op', 'group'].includes(data.boxes[box].kind));
const SEED = workers.length + 1; // the event with which the pass starts
const END = SEED + data.pulls.length + 1;

const computedAt = new Map(); // value -> event
const gradientsOf = new Map(); // value -> [[event, array, is complete], ..]
const boxOf = new Map(); // value -> the box that shows it
const forwardEventOf = new Map();
const backwardEventOf = new Map();

function note(value, event, array, complete) {
  if (!gradientsOf.has(value)) gradientsOf.set(value, []);
  gradientsOf.get(value).push([event, array, complete]);
}

data.boxes.forEach((box, number) => {
  const event = workers.indexOf(number) + 1; // 0 for inputs
  forwardEventOf.set(number, event);
  for (const [, value] of box.outputs) {
    computedAt.set(value, event);
    boxOf.set(value, number);
  }
  for (const value of box.parameters || []) {
    computedAt.set(value, 0);
    boxOf.set(value, number);
  }
});
note(data.output, SEED, data.seed, !data.pulls.some((pull) => pull.parts.some((part) => part.to === data.output)));
data.pulls.forEach((pull, i) => {
  backwardEventOf.set(pull.box, SEED + 1 + i);
  for (const part of pull.parts) note(part.to, SEED + 1 + i, part.after, part.nth + part.count - 1 === part.of);
});

/** The box of an event, or null where it has none. */
function boxAt(event) {
  if (event > 0 && event < SEED) return workers[event - 1];
  return event > SEED && event < END ? data.pulls[event - SEED - 1].box : null;
}

/** The gradient of a value after an event: [array, is complete], or null where there is none yet. */
function gradientAfter(value, event) {
  const found = (gradientsOf.get(value) || []).findLast(([at]) => at <= event);
  return found ? found.slice(1) : null;
}

const isComputed = (value, event) => computedAt.get(value) <= event;

// ------------------------------------------------------------ folding

const isOpen = data.frames.map((frame) => frame.open);
const frameOf = new Map(); // box -> its innermost frame
data.frames.forEach((frame, number) => frame.boxes.forEach((box) => frameOf.set(box, number)));

/** The frames around a box, the innermost first. */
function framesAround(box) {
  const around = [];
  for (let frame = frameOf.get(box) ?? null; frame !== null; frame = data.frames[frame].outer) around.push(frame);
  return around;
}

const insideOf = data.frames.map(() => []); // frame -> all boxes in it and in the frames in it
data.boxes.forEach((box, number) => framesAround(number).forEach((frame) => insideOf[frame].push(number)));

/** The outermost closed frame that hides a box, or null. */
function hiddenBy(box) {
  return framesAround(box).findLast((frame) => !isOpen[frame]) ?? null;
}

let steps = []; // {first, last: events, frame: the closed one, or null}

function makeSteps() {
  steps = [];
  for (let event = 0; event <= END; event += 1) {
    const box = boxAt(event);
    const frame = box === null ? null : hiddenBy(box);
    const before = steps.at(-1);
    if (frame !== null && before && before.frame === frame) before.last = event;
    else steps.push({ first: event, last: event, frame });
  }
}

/** The step that holds an event. */
function stepWith(event) {
  return steps.findIndex((step) => step.last >= event);
}
