// The step pane: what happens in one step, in words, formulas and numbers. How a rule works is told in rules.js.
'use strict';

const article = document.getElementById('step');

function labelOf(value) {
  return data.values[value].label;
}

function pair(key, ...content) {
  return make('div', 'pair', {}, make('div', 'key mono', {}, key), make('div', '', {}, ...content));
}

function section(title, ...content) {
  return make('section', '', {}, make('h3', '', {}, title), ...content);
}

/** A row for each value, up to as many as can be looked through. */
function rowsOf(values, row) {
  const rows = values.slice(0, 100).map(row);
  if (values.length > 100) rows.push(make('p', 'quiet', {}, `and ${values.length - 100} more`));
  return make('div', 'pairs', {}, ...rows);
}

function missing(role) {
  return make('span', 'missing', { 'data-role': role }, 'not computed');
}

/** The gradient of a value as far as it is known after an event. */
function gradientHolder(value, event, ...before) {
  const found = gradientAfter(value, event);
  const shown = found ? arrayFigure(found[0], 'gradient') : missing('gradient');
  return make('div', '', { 'data-gradient-of': labelOf(value) }, ...before, shown);
}

/** A row with the gradient alone. */
function gradientRow(event) {
  return (value) => pair(`∂L/∂${labelOf(value)}`, gradientHolder(value, event));
}

// ------------------------------------------------------------ a step as a whole

function tellStep(step) {
  const isForward = step.last < SEED;
  const title = step.frame !== null ? pathOf(step.frame) : titleOf(step.last);
  const number = step.first === step.last ? `Step ${step.last}` : `Steps ${step.first}–${step.last}`;
  const counter = `${number} of ${END}`;
  const middle = isForward ? 'Forward' : 'Backward';
  const phase = step.last === 0 ? 'Start' : step.last === END ? 'Result' : middle;
  const where = make('div', 'where', {},
    make('span', `phase ${isForward ? '' : 'backward'}`, {}, phase), make('span', '', { id: 'counter' }, counter));
  article.replaceChildren(where, make('h2', '', { id: 'heading' }, title), ...storyOf(step));
  article.scrollTop = 0;
  article.dataset.event = step.last;
  document.getElementById('said').textContent = `${counter}, ${phase.toLowerCase()}: ${title}`;
}

function titleOf(event) {
  if (event === 0) return 'What is given';
  if (event === SEED) return 'The backward pass starts';
  if (event === END) return 'All gradients';
  const box = data.boxes[boxAt(event)];
  if (box.kind === 'group') return groupTitle(box);
  const [, output] = box.outputs[0];
  if (box.outputs.length > 1 || labelOf(output) === box.op) return box.op;
  return data.values[output].named ? `${labelOf(output)} = ${box.op}` : labelOf(output);
}

function storyOf(step) {
  if (step.frame !== null) return tellFrame(step);
  if (step.last === 0) return tellStart();
  if (step.last === SEED) return tellSeed();
  if (step.last === END) return tellEnd();
  const box = data.boxes[boxAt(step.last)];
  return step.last < SEED ? tellForward(box, step.last) : tellBackward(box, data.pulls[step.last - SEED - 1]);
}

// ------------------------------------------------------------ start, seed, end

function tellStart() {
  const sources = data.boxes.filter((box) => ['leaf', 'constant'].includes(box.kind)).map((box) => box.outputs[0][1]);
  const parameters = data.boxes.flatMap((box) => box.parameters || []);
  return [
    ...data.notes.map((text) => make('p', 'notice', {}, text)),
    make('p', '', {}, 'The calculation starts from these values. Step forward to see each op compute its result, then '
      + 'on into the backward pass.'),
    rowsOf([...sources, ...parameters], givenRow),
  ];
}

function givenRow(value) {
  const { array, kind } = data.values[value];
  const gradient = kind === 'constant' ? make('span', 'quiet', {}, 'a constant: no gradient flows into it')
    : gradientHolder(value, 0, make('span', 'quiet', {}, 'gradient '));
  return pair(labelOf(value), make('div', '', {}, arrayFigure(array, 'value')), gradient);
}

function tellSeed() {
  const label = labelOf(data.output);
  const words = data.given
    ? `The pass starts from the cotangent that was given for ${label}: L is the sum of ${label} times it, element by `
      + 'element.'
    : `L is ${label} itself. How fast does L change with ${label}? Exactly as fast: its derivative by itself is 1. `
      + 'From here the gradient flows back, against the arrows.';
  return [make('p', '', {}, words), section(`∂L/∂${label}`, gradientHolder(data.output, SEED))];
}

function tellEnd() {
  const leaves = [...data.values.keys()].filter((value) => data.values[value].kind === 'leaf');
  return [
    make('p', '', {}, 'Nothing is left to pull back. These are the gradients of L by what was given: what y.backward() '
      + 'adds to each .grad.'),
    rowsOf(leaves, gradientRow(END)),
  ];
}

// ------------------------------------------------------------ forward

function aboutOp(box) {
  const texts = [...(box.params || []), ...(box.scope ? [`in ${box.scope}`] : [])];
  const chips = texts.map((text) => make('span', 'chip mono', {}, text));
  return [
    box.about ? make('p', 'quiet', {}, box.about) : null,
    chips.length ? make('div', 'where', {}, ...chips) : null,
    box.kind === 'group' ? make('p', 'quiet', {}, groupWords(box)) : null,
  ].filter(Boolean);
}

function groupWords(box) {
  const more = box.ops > box.listed.length ? `, and ${box.ops - box.listed.length} more` : '';
  const cut = box.unlisted ? ` Its first parameters are shown; ${box.unlisted} more are not.` : '';
  return `${counted(box.ops, 'op')} shown as one: ${box.listed.join(', ')}${more}.${cut}`;
}

function tellForward(box, event) {
  const taken = box.inputs.map(([name, value]) => {
    const label = labelOf(value);
    return pair(name && name !== label ? `${name} = ${label}` : label, arrayFigure(data.values[value].array, 'value'));
  });
  const computed = box.outputs.map(([name, value]) => pair(name || labelOf(value),
    arrayFigure(data.values[value].array, 'value'),
    gradientHolder(value, event, make('span', 'quiet', {}, 'gradient '))));
  return [
    ...aboutOp(box), ...(box.formula ? [formula(box.formula)] : []),
    section('Takes', make('div', 'pairs', {}, ...taken)), section('Computes', make('div', 'pairs', {}, ...computed)),
  ];
}

// ------------------------------------------------------------ closed frames

function tellFrame(step) {
  const frame = data.frames[step.frame];
  const inside = new Set(insideOf[step.frame]);
  const events = [...Array(step.last - step.first + 1).keys()].map((i) => step.first + i);
  const names = events.slice(0, 12).map((event) => data.boxes[boxAt(event)].title);
  const listed = `${names.join(', ')}${events.length > names.length ? ', …' : ''}`;
  const all = counted(frame.ops, 'op');
  const part = events.length === frame.ops ? all : `${events.length} of ${all}`;
  const words = make('p', 'quiet', {},
    `${part} in one step: ${listed}. Press F to open the group.`);
  const outputs = leavingValues(inside);
  if (step.last < SEED) {
    const computed = outputs.filter((value) => isComputed(value, step.last));
    const row = (value) => pair(labelOf(value), arrayFigure(data.values[value].array, 'value'));
    return [words, section('Computes', rowsOf(computed, row))];
  }
  const parts = events.flatMap((event) => data.pulls[event - SEED - 1].parts);
  const goesOut = (value) => !inside.has(boxOf.get(value)) || data.values[value].kind === 'leaf';
  const given = [...new Set(parts.map((part) => part.to))].filter(goesOut);
  return [
    words,
    section('Comes in', rowsOf(outputs, gradientRow(step.first))),
    section('Goes out', rowsOf(given, gradientRow(step.last))),
  ];
}

/** The values that are made inside a group of boxes and used outside. */
function leavingValues(inside) {
  const made = [...inside].filter((box) => forwardEventOf.get(box)).flatMap((box) => data.boxes[box].outputs);
  const leaves = (value) => data.edges.some(([tail, head, moved]) => (
    moved === value && inside.has(tail) && !inside.has(head)));
  return made.map(([, value]) => value).filter((value) => value === data.output || leaves(value));
}
